"""What a watch is told of where a layer fails, or a network has a mode of its own."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from reportgen.probe.watch import Observer, Watch


class Noted(Observer):
    """Every call that ends, by its name; functions inside of calls run as they are."""

    def __init__(self) -> None:
        self.left: list[str] = []

    def leave(self, key: Any, source: Any, output: torch.Tensor) -> None:
        self.left.append(str(key))


class Followed(Noted):
    """The same, and every function that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[str] = []

    def operate(self, name: str, run: Any, args: Any, kwargs: Any) -> Any:
        self.ran.append(name)
        return run(*args, **kwargs)


class Passed(TorchFunctionMode):
    """Notes what passes it by."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.__name__)
        return func(*args, **kwargs or {})


class Careful(nn.Module):
    """A network that goes on where its first layer refuses the images."""

    def __init__(self, error: type[BaseException] = RuntimeError) -> None:
        super().__init__()
        self.picky, self.plain = nn.Conv2d(5, 4, 3), nn.Conv2d(3, 4, 3)
        self.error = error

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        try:
            found = self.picky(images)
        except self.error:
            found = self.plain(F.relu(images))
        return F.relu(found)


def images() -> torch.Tensor:
    return torch.randn(2, 3, 7, 9, generator=torch.Generator().manual_seed(0))


def modes() -> int:
    return int(torch._C._len_torch_function_stack())


def test_functions_are_told_of_after_a_layer_that_failed() -> None:
    net, observer = Careful(), Noted()
    expected = net(images())
    with Watch(net, observer):
        assert torch.equal(net(images()), expected)
        assert torch.equal(net(images()), expected)
    assert observer.left == ["F.relu", "plain", "F.relu#2"] * 2
    assert modes() == 0


def test_a_layer_that_fails_before_it_begins_takes_no_other_with_it() -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("not today")

    net, observer = Careful(), Noted()
    refused = net.picky.register_forward_pre_hook(refuse)
    with Watch(net, observer):
        net(images())
    refused.remove()
    assert observer.left == ["F.relu", "plain", "F.relu#2"]


def test_a_network_that_calls_itself_and_refuses_may_go_on() -> None:
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Conv2d(3, 3, 1))
            self.depth = 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.depth += 1
            try:
                images = self(images) if self.depth < 2 else images
            except RuntimeError:
                images = F.relu(images)
            return self.inner(images)

    def refuse(net: Nested, _: Any) -> None:
        if net.depth == 1:
            raise RuntimeError("not twice")

    whole, observer = nn.Sequential(Nested()), Noted()
    refused = whole[0].register_forward_pre_hook(refuse)
    with Watch(whole, observer):
        whole(images())
    refused.remove()
    # The refused call is taken for the one around it, so the function has no name of its own.
    assert observer.left == ["F.relu", "0.inner.0"]
    assert modes() == 0


@pytest.mark.parametrize("kind", [Noted, Followed])
def test_nothing_is_left_of_a_watch_that_ctrl_c_ends_inside_a_layer(kind: type[Noted]) -> None:
    net = Careful()

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    observer = kind()
    watch = Watch(net, observer)
    with pytest.raises(KeyboardInterrupt), watch:
        # After the watch's own, so that it is inside of the layer by then.
        hook = net.picky.register_forward_pre_hook(interrupt)
        net(images())
    hook.remove()
    assert modes() == 0
    with watch:
        net(images())
    assert observer.left == ["F.relu", "plain", "F.relu#2"]
    assert modes() == 0


def test_what_runs_inside_of_layers_is_reported_to_who_asks_alone() -> None:
    net, followed, outer = Careful(), Followed(), Passed()
    with Watch(net, followed):
        net(images())
    assert followed.ran.count("conv2d") == 2  # one of which failed
    with outer, Watch(net, Noted()):
        net(images())
    # A mode around the watch sees the functions of layers as without the watch.
    assert outer.names.count("conv2d") == 2


def test_a_mode_of_the_network_above_the_watch_stays_there() -> None:
    class Moded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.mode = nn.Conv2d(3, 4, 3), Passed()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            with self.mode:
                found = self.layer(images)
                return F.relu(found)

    net, observer = Moded(), Noted()
    with Watch(net, observer):
        net(images())
    assert net.mode.names.count("conv2d") == 1
    assert net.mode.names.count("relu") >= 1
    assert observer.left == ["layer", "F.relu"]
    assert modes() == 0
