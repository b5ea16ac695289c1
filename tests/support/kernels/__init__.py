"""Runs a command on other kernels: Debian's, booted by qemu without KVM, with this repository and its virtual environment inside.

`matrix` says which kernels and picks their packages, `packages` fetches them, `images` makes the guest's disks, `guest` boots one, `results` judges
what the tests left, `__main__` is the command. Nothing here may touch the host's own apt sources or name a mirror.
"""
