#!/bin/sh
# The CD's drivers came on top of those that the initrd's index of modules knows.
depmod -a
udevadm trigger --action=add --type=devices
udevadm settle
