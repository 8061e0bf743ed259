/** Types of partitions that have a name here: by MBR's number and GPT's GUID. */
export interface PartitionType {
  /** In `--add 512M,efi`. */
  readonly name: string;
  readonly label: string;
  readonly mbr: number | undefined;
  readonly gpt: string | undefined;
}

export const PARTITION_TYPES: readonly PartitionType[] = [
  { name: "linux", label: "Linux file system", mbr: 0x83, gpt: "0FC63DAF-8483-4772-8E79-3D69D8477DE4" },
  { name: "swap", label: "Linux swap", mbr: 0x82, gpt: "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F" },
  { name: "lvm", label: "Linux LVM", mbr: 0x8e, gpt: "E6D6D379-F507-44C2-A23C-238F2A3DF928" },
  { name: "efi", label: "EFI system", mbr: 0xef, gpt: "C12A7328-F81F-11D2-BA4B-00A0C93EC93B" },
  { name: "bios", label: "BIOS boot", mbr: undefined, gpt: "21686148-6449-6E6F-744E-656564454649" },
  { name: "fat", label: "FAT32", mbr: 0x0c, gpt: undefined },
  { name: "windows", label: "Windows data", mbr: 0x07, gpt: "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7" },
  { name: "reserved", label: "Microsoft reserved", mbr: undefined, gpt: "E3C9E316-0B5C-4DB8-817D-F92DF00215AE" },
  { name: "freebsd", label: "FreeBSD", mbr: 0xa5, gpt: "516E7CB4-6ECF-11D6-8FF8-00022D09712B" },
];

/** For people: what a type is. */
export function labelOf(type: string): string {
  const byNumber = /^[0-9a-f]{2}$/.test(type) ? Number.parseInt(type, 16) : undefined;
  const known = PARTITION_TYPES.find(({ mbr, gpt }) => (byNumber === undefined ? gpt === type : mbr === byNumber));
  if (known !== undefined) return known.label;
  return byNumber === 0x05 || byNumber === 0x0f || byNumber === 0x85 ? "extended" : type;
}
