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
# Device by device, on files of the tree: whatever is removed there, the host's own devices stay.
for device in full null random tty urandom zero; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device" || { rm "$root/dev/$device"; cp -R "/dev/$device" "$root/dev/$device"; }
done
proc=mounted
mount -t proc proc "$root/proc" || mount --rbind /proc "$root/proc" || proc=absent

mkdir "$root/packages"
mount --bind "$packages" "$root/packages" || cp "$packages"/*.deb "$root/packages"
chroot "$root" sh -c 'dpkg --install --force-depends --force-unsafe-io /packages/*.deb'
# Once more, with every dependency in place: fails where a package is left half configured.
chroot "$root" dpkg --configure --pending
umount "$root/packages" 2>/dev/null || rm "$root/packages"/*.deb
rmdir "$root/packages"

# From here on inside, where a link of the tree cannot lead out to the host's files.
chroot "$root" mkdir -p /usr/lib/modules
tar -C "$(dirname "$modules")" -c "$(basename "$modules")" | chroot "$root" tar -x --no-same-owner -C /usr/lib/modules
tar -C "$files" -c . | chroot "$root" tar -x --no-same-owner --no-overwrite-dir -C /
chroot "$root" sh -eu -s "$(basename "$modules")" <<'INSIDE'
  depmod "$1"
  # Housekeeping of long-lived machines would only slow down short-lived ones.
  systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_reap.service
  systemctl enable systemd-networkd.service
  passwd -d root
  # Empty, the file has each machine make an identity of its own.
  : >/etc/machine-id
  rm -f /usr/sbin/policy-rc.d /var/log/*.log /var/cache/debconf/*-old
INSIDE

[ "$proc" = absent ] || umount -l "$root/proc"
for device in full null random tty urandom zero; do
  umount "$root/dev/$device" 2>/dev/null || true
  rm "$root/dev/$device"
done
rm -f "$image"
mkfs.ext4 -q -L bunkhouse -m 0 -E lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0 -d "$root" "$image" "$size"M
`;
