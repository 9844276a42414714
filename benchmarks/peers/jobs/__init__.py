"""What `nnc run digits` and `nnc run mnist` do, as a script for each of the peers: read, train, evaluate, save."""
