"""The data sets that torchvision downloads and reads."""
