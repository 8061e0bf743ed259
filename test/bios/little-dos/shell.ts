/** Little DOS's shell: commands from COMMANDS.TXT, then from the keyboard. It works by INT 21h, as programs do. */
import { BUFFER_AT, ROOT_AT } from "./services.ts";

const LINE_AT = BUFFER_AT + 512;
const SCRIPT_AT = LINE_AT + 128;

export const SHELL = `
  start: cli
  xor ax,ax
  mov ds,ax
  mov es,ax
  mov ss,ax
  mov sp,0x7c00
  sti
  cld
  mov [drive],dl
  mov ax,3
  int 0x10
  mov word [0x84],int21
  mov word [0x86],0
  mov si,banner
  call print
  call load_tables
  mov word [script],no_script
  mov dx,script_name
  mov ax,0x3d00
  int 0x21
  jc shell
  mov bx,ax
  mov dx,${SCRIPT_AT}
  mov cx,512
  mov ah,0x3f
  int 0x21
  mov si,ax
  mov byte [si+${SCRIPT_AT}],0
  mov ah,0x3e
  int 0x21
  mov word [script],${SCRIPT_AT}

  shell: mov si,prompt
  call print
  call read_line
  mov si,${LINE_AT}
  mov bx,commands
  shell_try: mov di,[bx]
  or di,di
  jz shell_unknown
  call match
  je shell_run
  add bx,4
  jmp shell_try
  shell_run: call [bx+2]
  jmp shell
  shell_unknown: cmp byte [si],0
  je shell
  mov si,unknown
  call print
  jmp shell

  ; Zero flag where the word at SI is the one at DI; SI is behind it then.
  match: push si
  match_next: mov al,[di]
  or al,al
  jz match_end
  mov ah,[si]
  cmp ah,97
  jb match_compare
  sub ah,32
  match_compare: cmp ah,al
  jne match_not
  inc si
  inc di
  jmp match_next
  match_end: cmp byte [si],32
  ja match_not
  pop ax
  match_blank: cmp byte [si],32
  jne match_found
  inc si
  jmp match_blank
  match_found: xor ax,ax
  ret
  match_not: pop si
  or al,1
  ret

  ; A line without its end, from the script or the keyboard, shown as it comes.
  read_line: mov di,${LINE_AT}
  read_next: mov si,[script]
  mov al,[si]
  or al,al
  jz read_key
  inc word [script]
  cmp al,10
  je read_next
  jmp read_character
  read_key: xor ah,ah
  int 0x16
  cmp al,8
  jne read_character
  cmp di,${LINE_AT}
  je read_next
  dec di
  call put
  jmp read_next
  read_character: cmp al,13
  je read_done
  stosb
  call put
  jmp read_next
  read_done: xor al,al
  stosb
  mov si,line_end
  jmp print

  print: mov dx,si
  mov ah,0x09
  int 0x21
  ret

  ; EAX in decimal.
  print_number: mov ecx,10
  xor bx,bx
  digit_next: xor edx,edx
  div ecx
  push dx
  inc bx
  or eax,eax
  jnz digit_next
  digit_show: pop ax
  add al,48
  call put
  dec bx
  jnz digit_show
  ret

  cmd_ver: mov si,banner
  jmp print

  cmd_dir: mov ah,0x4e
  dir_next: int 0x21
  jc dir_end
  mov si,found_name
  call print
  mov al,32
  call put
  mov eax,[found_size]
  call print_number
  mov si,line_end
  call print
  mov ah,0x4f
  jmp dir_next
  dir_end: ret

  cmd_type: mov dx,si
  mov ax,0x3d00
  int 0x21
  jc no_such_file
  mov bx,ax
  type_next: mov dx,${BUFFER_AT}
  mov cx,512
  mov ah,0x3f
  int 0x21
  mov cx,ax
  jcxz type_end
  mov si,${BUFFER_AT}
  type_character: lodsb
  call put
  loop type_character
  jmp type_next
  type_end: mov ah,0x3e
  int 0x21
  ret
  no_such_file: mov si,missing
  jmp print

  cmd_copy: mov dx,si
  mov ax,0x3d00
  int 0x21
  jc no_such_file
  mov [source],ax
  copy_word: lodsb
  cmp al,32
  jne copy_word
  mov dx,si
  xor cx,cx
  mov ah,0x3c
  int 0x21
  mov [target],ax
  copy_next: mov bx,[source]
  mov dx,${BUFFER_AT}
  mov cx,512
  mov ah,0x3f
  int 0x21
  mov cx,ax
  jcxz copy_end
  mov bx,[target]
  mov ah,0x40
  int 0x21
  jnc copy_next
  copy_end: mov bx,[target]
  mov ah,0x3e
  int 0x21
  mov bx,[source]
  mov ah,0x3e
  int 0x21
  mov si,copied
  jmp print

  cmd_del: mov dx,si
  mov ah,0x41
  int 0x21
  jc no_such_file
  ret

  cmd_chip: call chip_on
  mov si,by_chip
  jmp print
  cmd_bios: call chip_off
  mov si,by_bios
  jmp print

  cmd_exit: xor al,al
  out 0xf4,al
  jmp cmd_exit

  commands: dw word_ver, cmd_ver, word_dir, cmd_dir, word_type, cmd_type, word_copy, cmd_copy
  dw word_del, cmd_del, word_chip, cmd_chip, word_bios, cmd_bios, word_exit, cmd_exit, 0
  word_ver: db "VER", 0
  word_dir: db "DIR", 0
  word_type: db "TYPE", 0
  word_copy: db "COPY", 0
  word_del: db "DEL", 0
  word_chip: db "CHIP", 0
  word_bios: db "BIOS", 0
  word_exit: db "EXIT", 0
  script_name: db "COMMANDS.TXT", 0
  no_script: db 0
  script: dw 0
  source: dw 0
  target: dw 0
  banner: db "Little DOS 1.0", 13, 10, 36
  prompt: db "A>", 36
  line_end: db 13, 10, 36
  unknown: db "Bad command", 13, 10, 36
  missing: db "File not found", 13, 10, 36
  copied: db "1 file copied", 13, 10, 36
  by_chip: db "Disk by its controller", 13, 10, 36
  by_bios: db "Disk by the BIOS", 13, 10, 36
`;

/** The last byte that the shell and the services use. */
export const END = Math.max(SCRIPT_AT + 513, ROOT_AT);
