/** Texts that follow the lists of options in --help. */
import { KEY_HELP } from "./escape-keys.ts";

export const MAIN_HELP = `
Examples:
  bunk run debian               start Debian; it is made ready from Debian's packages the first time
  bunk run --kernel bzImage     start a kernel of your own
  bunk disk create disk.qcow2 20G
                                make a disk for a machine; bunk disk --help has more
  bunk sendkeys debian ctrl-alt-delete
                                type on a machine that runs; bunk screenshot shows it
  bunk list                     the guests that can be run by name
  bunk run --help               all about starting a machine

Exit status: 0, or as \`bunk run --help\` lists.`;

export const RUN_HELP = `
Examples:
  bunk run debian
  bunk run debian --memory 1G --disk data.img
  bunk run debian --disk new.qcow2,size=8G
  bunk run debian --nic user                  with a network
  bunk run debian --append "loglevel=3"
  bunk run installer.iso --disk new.qcow2,size=8G
  bunk run disk.qcow2                         what is on the disk
  bunk run --cdrom rescue.iso --disk disk.qcow2 --boot disk,cd
  bunk run --nic isolated,tftp=netboot,bootfile=pxelinux.0 --boot net
                                              what a server on the network has
  bunk run debian --nic user                  with a way to the internet
  bunk run --kernel bzImage --initrd initrd.gz --append "console=ttyS0 quiet"
  bunk run --kernel tests.elf --debug-exit --no-reboot --console none
  bunk run --kernel tests.elf --debug-exit <input.txt >output.txt
  bunk run debian --gdb 1234                  then: gdb -ex "target remote :1234"
  bunk run debian --profile -                 what the processor did; docs/tracing.md has more
  bunk run debian --display web               see its screen in a browser
  bunk run debian --display vnc=5900          or with a VNC viewer on this host

Keys, where the console is standard input and output:
${KEY_HELP.replaceAll(/^/gm, "  ")}

The end of a pipe ends the input, not the machine. As on any serial line, a guest may
lose what is sent before it reads: wait for its prompt.

Exit status:
  0      the guest switched itself off, or you quit
  64     the command line is wrong
  66     a file is missing or is not what it should be
  69     something on this host is missing
  70     the guest crashed (triple fault)
  72     the guest asked for a reset, under --no-reboot
  78     nothing to boot from on any medium
  74     the console's output could not be written, or a disk not be closed
  76     internal error
  128+n  ended by signal n, such as 130 for Ctrl-C and 143 for SIGTERM
  odd    the guest wrote v to the --debug-exit port: 2v+1, as in QEMU`;

export const LIST_HELP = `
Examples:
  bunk list

"cached" guests start at once; others are made ready by the first \`bunk run\`.`;

export const CACHE_HELP = `
Examples:
  bunk cache                  what is kept, and where
  bunk cache clean            remove all of it
  bunk cache clean debian     remove one guest; the next run makes it anew`;
