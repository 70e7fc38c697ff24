import os

os.environ["DO_NOT_TRACK"] = "1"  # else Daft tells its makers that it is used
