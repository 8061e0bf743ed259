#!/bin/sh
# The CD's drivers came on top of those that the initrd's index of modules knows. Some of them are in that, too.
while read -r module; do
	insmod "$module" 2>/dev/null || true
done </etc/cd-modules
udevadm settle
