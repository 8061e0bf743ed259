#!/bin/sh
# The first process of Bunkhouse's small guests: mounts what programs expect, loads modules for the hardware
# that is there, and hands over to the system on the disk that root= on the kernel's command line names, or
# else to BusyBox's init, which opens a shell.
export PATH=/bin

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=755 run /run

# A bus driver brings devices of its own: again, until nothing more is loaded.
load_drivers() {
  before=
  while :; do
    modprobe -a -q $(cat /sys/bus/*/devices/*/modalias) 2>/dev/null
    now=$(cut -d' ' -f1 /proc/modules)
    [ "$now" = "$before" ] && break
    before=$now
  done
}

root= rootfstype= rootflags= init=/sbin/init access=ro
for word in $(cat /proc/cmdline); do
  case $word in
    root=*) root=${word#root=} ;;
    rootfstype=*) rootfstype="-t ${word#*=}" ;;
    rootflags=*) rootflags=,${word#*=} ;;
    init=*) init=${word#*=} ;;
    ro | rw) access=$word ;;
  esac
done

# From here on only what goes wrong: messages of drivers would mix with the shell's prompt.
dmesg -n 5
load_drivers

if [ -n "$root" ]; then
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    case $root in
      UUID=* | LABEL=*) device=$(findfs "$root" 2>/dev/null) ;;
      *) device=$root ;;
    esac
    [ -b "$device" ] && break
    sleep 0.5
    load_drivers
  done
  if mount $rootfstype -o "$access$rootflags" "$device" /mnt; then
    for mounted in dev sys proc run; do mount -o move /$mounted /mnt/$mounted; done
    exec switch_root /mnt "$init"
  fi
  echo "init: cannot mount the root disk $root; here is a shell instead" >/dev/console
fi

mkdir /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
hostname bunkhouse
ip link set lo up
for interface in /sys/class/net/eth*; do
  [ -e "$interface" ] && udhcpc -q -S -i "${interface##*/}" >/dev/null 2>&1 &
done

exec init
