/** Texts that follow the lists of options of `bunk disk ... --help`. */
export const DISK_HELP = `
Examples:
  bunk disk create disk.qcow2 20G
  bunk disk create work.qcow2 --backing base.qcow2     changes go to work.qcow2, base.qcow2 stays
  bunk disk info disk.qcow2
  bunk disk convert disk.vmdk disk.qcow2
  bunk disk resize disk.qcow2 +10G
  bunk disk check disk.qcow2 --repair
  bunk disk snapshot create disk.qcow2 before-upgrade`;

export const CREATE_HELP = `
The image is thin: it takes the host's storage as it is written, unless --preallocation says otherwise.
The format is that of the file's name (.qcow2, .vmdk, .vdi, .vhd, .vhdx, .img and .raw) unless --format says it.

Examples:
  bunk disk create disk.qcow2 20G
  bunk disk create disk.img 512M
  bunk disk create work.qcow2 --backing base.img --backing-format raw
  bunk disk create fast.qcow2 20G --preallocation falloc`;

export const INFO_HELP = `
Examples:
  bunk disk info disk.qcow2
  bunk disk info disk.qcow2 --json`;

export const CONVERT_HELP = `
Zeros are left out, so that the new image takes no more of the host's storage than it must.

Examples:
  bunk disk convert disk.vmdk disk.qcow2
  bunk disk convert disk.qcow2 disk.img
  bunk disk convert disk.qcow2 old.qcow2 --snapshot before-upgrade`;

export const RESIZE_HELP = `
Examples:
  bunk disk resize disk.qcow2 30G
  bunk disk resize disk.qcow2 +10G
  bunk disk resize disk.qcow2 -- -5G --shrink     what lies beyond the new end is lost`;

export const CHECK_HELP = `
Exit status: 0 where the image is sound or was mended, 66 where it is damaged.

Examples:
  bunk disk check disk.qcow2
  bunk disk check disk.qcow2 --repair`;

export const SNAPSHOT_HELP = `
Snapshots are kept in the image itself (qcow2 only), and are made while no machine uses it.

Examples:
  bunk disk snapshot list disk.qcow2
  bunk disk snapshot create disk.qcow2 before-upgrade
  bunk disk snapshot apply disk.qcow2 before-upgrade      what was written since then is lost
  bunk disk snapshot delete disk.qcow2 before-upgrade`;

export const PARTITIONS_HELP = `
Partitions begin at whole MiB. What was on the disk stays where it is, but nothing leads to it any more.

Examples:
  bunk disk partitions disk.qcow2
  bunk disk partitions disk.qcow2 --create gpt --add 512M,efi --add rest,linux,root
  bunk disk partitions disk.img --create mbr --add 2G,swap --add rest`;
