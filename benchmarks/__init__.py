"""What reportgen costs, against plain passes of the network and against what people use."""
