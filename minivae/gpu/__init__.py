"""What can be known of a machine's GPUs without computing anything on them, and what their errors mean and what mends them.
device.py and kernels.py use them."""
