/**
 * The shell script that makes a root file system out of downloaded packages, and a disk image out of that.
 *
 * It runs as root of a mount namespace of its own, so that the tree and its mounts vanish with it however it
 * ends. Packages are unpacked by hand first, for dpkg itself to be there, and then installed by that dpkg.
 *
 * Arguments: an empty directory, the directory of the packages, the kernel's module directory, the directory of
 * files to add, the image to make, its size in MiB.
 *
 * @spec Debian Policy §6.5 (what maintainer scripts may expect), mke2fs(8) option -d
 */
export const ROOT_SCRIPT: string = String.raw`
set -eu
root=$1 packages=$2 modules=$3 files=$4 image=$5 size=$6
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C HOME=/root
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
unset TMPDIR APT_CONFIG
umask 022

# Without the right to mount (root in a plain container) the tree is on disk and devices are made.
mount -t tmpfs -o mode=755 root "$root" || chmod 755 "$root"

for directory in bin sbin lib lib64; do
  mkdir -p "$root/usr/$directory"
  ln -s "usr/$directory" "$root/$directory"
done
for package in "$packages"/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x -p --keep-directory-symlink -C "$root"
done

# Scripts use awk before its package has set up the link.
ln -sf mawk "$root/usr/bin/awk"
: >"$root/var/lib/dpkg/status"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
if mount --rbind /dev "$root/dev"; then :; else
  mknod -m 666 "$root/dev/null" c 1 3
  mknod -m 666 "$root/dev/zero" c 1 5
  mknod -m 666 "$root/dev/random" c 1 8
  mknod -m 666 "$root/dev/urandom" c 1 9
  mknod -m 666 "$root/dev/tty" c 5 0
fi
mount -t proc proc "$root/proc" || mount --rbind /proc "$root/proc" || true

mkdir "$root/packages"
if mount --bind "$packages" "$root/packages"; then :; else cp "$packages"/*.deb "$root/packages"; fi
chroot "$root" sh -c 'dpkg --install --force-depends --force-unsafe-io /packages/*.deb'
# Once more, with every dependency in place: fails where a package is left half configured.
chroot "$root" dpkg --configure --pending
umount "$root/packages" 2>/dev/null || rm -f "$root/packages"/*.deb
rmdir "$root/packages"

version=$(basename "$modules")
mkdir -p "$root/usr/lib/modules"
cp -R --no-preserve=ownership "$modules" "$root/usr/lib/modules/$version"
chroot "$root" depmod "$version"
cp -R --no-preserve=ownership "$files/." "$root/"
# Timers of a distribution's housekeeping would disturb short-lived machines.
chroot "$root" systemctl mask apt-daily.timer apt-daily-upgrade.timer
chroot "$root" systemctl enable systemd-networkd.service
chroot "$root" passwd -d root
# Empty, the file has each machine make an identity of its own.
: >"$root/etc/machine-id"
rm -f "$root/usr/sbin/policy-rc.d" "$root"/var/log/*.log "$root"/var/cache/debconf/*-old

umount -R "$root/proc" 2>/dev/null || true
umount -R -l "$root/dev" 2>/dev/null || rm -f "$root"/dev/*
rm -f "$image"
mkfs.ext4 -q -L bunkhouse -m 0 -E lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0 -d "$root" "$image" "$size"M
`;
