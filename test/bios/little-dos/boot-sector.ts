/** The boot sector of Little DOS: it loads the file that lies first on the disk to 0000:8000. */

/** Where the system is loaded to. */
export const SYSTEM_AT = 0x8000;
/** The first data sector of the disk. */
export const FIRST_DATA = 33;

/** @spec Microsoft FAT specification (2000), "Boot Sector and BPB", for a disk of 1.44 MB */
export const bootCode = (sectors: number): string => `
  jmp start
  nop
  db "LITTLDOS"
  dw 512
  db 1
  dw 1
  db 2
  dw 224, 2880
  db 0xf0
  dw 9, 18, 2
  dd 0, 0
  db 0, 0, 0x29
  dd 0x20261128
  db "LITTLE DOS FAT12   "
  start: cli
  xor ax,ax
  mov ds,ax
  mov es,ax
  mov ss,ax
  mov sp,0x7c00
  sti
  mov [drive],dl
  mov di,${sectors}
  mov si,${FIRST_DATA}
  mov bx,${SYSTEM_AT}
  load: mov ax,si
  xor dx,dx
  mov cx,18
  div cx
  mov cl,dl
  inc cl
  mov dh,al
  and dh,1
  shr ax,1
  mov ch,al
  mov dl,[drive]
  mov ax,0x0201
  int 0x13
  jc load
  inc si
  add bx,512
  dec di
  jnz load
  mov dl,[drive]
  mov bp,${SYSTEM_AT}
  jmp bp
  drive: db 0
`;
