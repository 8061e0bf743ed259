/**
 * Little DOS's services at INT 21h, with a file system (FAT12 on 1.44 MB, root directory only). A cluster is a sector;
 * files are read and written from their start by sectors: 512 bytes at a time, of which a file's last one may be shorter.
 * @spec Microsoft FAT specification (2000); the numbers of the services are those of MS-DOS
 */
export const FAT_AT = 0xa800;
export const ROOT_AT = 0xba00;
export const BUFFER_AT = 0xd800;

export const SERVICES = `
  int21: sti
  cld
  push bp
  mov bp,sp
  and word [bp+6],0xfffe
  push bx
  push cx
  push dx
  push si
  push di
  call dispatch
  pop di
  pop si
  pop dx
  pop cx
  pop bx
  jnc int21_done
  or word [bp+6],1
  int21_done: pop bp
  iret

  dispatch: cmp ah,0x02
  je dos_character
  cmp ah,0x09
  je dos_string
  cmp ah,0x3c
  je dos_create
  cmp ah,0x3d
  je dos_open
  cmp ah,0x3e
  je dos_close
  cmp ah,0x3f
  je dos_read
  cmp ah,0x40
  je dos_write
  cmp ah,0x41
  je dos_delete
  cmp ah,0x4e
  je dos_find_first
  cmp ah,0x4f
  je dos_find_next
  mov ax,1
  stc
  ret

  dos_character: mov al,dl
  put: push ax
  push bx
  mov ah,0x0e
  mov bx,7
  int 0x10
  pop bx
  pop ax
  clc
  ret

  dos_string: mov si,dx
  string_next: lodsb
  cmp al,36
  je string_end
  call put
  jmp string_next
  string_end: clc
  ret

  ; The name at SI as the directory has it, in "name".
  parse_name: push ax
  push di
  mov di,name
  mov cx,11
  mov al,32
  rep stosb
  mov di,name
  parse_next: lodsb
  cmp al,32
  jbe parsed
  cmp al,46
  jne parse_letter
  mov di,name+8
  jmp parse_next
  parse_letter: cmp al,97
  jb parse_store
  cmp al,122
  ja parse_store
  sub al,32
  parse_store: stosb
  jmp parse_next
  parsed: pop di
  pop ax
  ret

  ; The directory entry of "name" to DI; carry where there is none.
  find_name: mov di,${ROOT_AT}
  find_next: cmp byte [di],0
  je not_found
  push di
  mov si,name
  mov cx,11
  repe cmpsb
  pop di
  je found
  add di,32
  cmp di,${ROOT_AT + 224 * 32}
  jb find_next
  not_found: mov ax,2
  stc
  ret
  found: clc
  ret

  ; A handle in AX for entry DI; BX is its record.
  new_file: mov bx,files
  mov ax,5
  cmp word [bx],0
  je file_free
  add bx,16
  inc ax
  cmp word [bx],0
  je file_free
  mov ax,4
  stc
  ret
  file_free: mov [bx],di
  mov word [bx+4],0
  mov word [bx+6],0
  mov byte [bx+8],0
  push ax
  mov ax,[di+26]
  mov [bx+2],ax
  pop ax
  clc
  ret

  ; The record of handle BX.
  file_of: sub bx,5
  cmp bx,2
  jae no_file
  shl bx,4
  add bx,files
  cmp word [bx],0
  je no_file
  clc
  ret
  no_file: mov ax,6
  stc
  ret

  dos_open: mov si,dx
  call parse_name
  call find_name
  jc open_end
  call new_file
  open_end: ret

  dos_create: mov si,dx
  call parse_name
  call find_name
  jc create_new
  call free_chain
  jmp create_empty
  create_new: mov di,${ROOT_AT}
  create_search: cmp byte [di],0
  je create_here
  cmp byte [di],0xe5
  je create_here
  add di,32
  jmp create_search
  create_here: push di
  mov si,name
  mov cx,11
  rep movsb
  mov al,0x20
  stosb
  xor al,al
  mov cx,20
  rep stosb
  pop di
  create_empty: mov word [di+26],0
  mov word [di+28],0
  mov word [di+30],0
  call new_file
  jc create_end
  mov byte [bx+8],1
  create_end: ret

  dos_close: call file_of
  jc close_end
  cmp byte [bx+8],0
  je close_free
  call save_tables
  close_free: mov word [bx],0
  clc
  close_end: ret

  dos_read: call file_of
  jc read_end
  mov si,[bx]
  mov eax,[si+28]
  sub eax,[bx+4]
  jz read_end
  cmp eax,512
  jbe read_part
  mov eax,512
  read_part: push eax
  push bx
  mov ax,[bx+2]
  add ax,31
  mov bx,dx
  call read_sector
  pop bx
  mov ax,[bx+2]
  call next_cluster
  mov [bx+2],ax
  pop eax
  add [bx+4],eax
  clc
  read_end: ret

  dos_write: call file_of
  jc write_end
  mov [buffer],dx
  call allocate
  jc write_end
  cmp word [bx+2],0
  je write_first
  push ax
  mov dx,ax
  mov ax,[bx+2]
  call set_cluster
  pop ax
  jmp write_linked
  write_first: mov si,[bx]
  mov [si+26],ax
  write_linked: mov [bx+2],ax
  push bx
  add ax,31
  mov bx,[buffer]
  call write_sector
  pop bx
  mov si,[bx]
  movzx eax,cx
  add [si+28],eax
  clc
  write_end: ret

  dos_delete: mov si,dx
  call parse_name
  call find_name
  jc delete_end
  call free_chain
  mov byte [di],0xe5
  call save_tables
  clc
  delete_end: ret

  ; Names and sizes go to "found_name" and "found_size", in the places of DOS's transfer area.
  dos_find_first: mov word [search],${ROOT_AT}
  dos_find_next: mov si,[search]
  search_next: cmp byte [si],0
  je search_end
  add word [search],32
  cmp byte [si],0xe5
  jne search_found
  add si,32
  jmp search_next
  search_end: mov ax,18
  stc
  ret
  search_found: mov eax,[si+28]
  mov [found_size],eax
  mov di,found_name
  mov cx,8
  search_base: lodsb
  cmp al,32
  je search_skip
  stosb
  search_skip: loop search_base
  mov al,46
  stosb
  mov cx,3
  search_extension: lodsb
  cmp al,32
  je search_skip_2
  stosb
  search_skip_2: loop search_extension
  mov al,36
  stosb
  clc
  ret

  ; The entry of cluster AX, to AX.
  next_cluster: push bx
  mov bx,ax
  shr bx,1
  add bx,ax
  mov bx,[bx+${FAT_AT}]
  test al,1
  jz cluster_even
  shr bx,4
  cluster_even: and bx,0x0fff
  mov ax,bx
  pop bx
  ret

  ; Cluster AX gets entry DX.
  set_cluster: push bx
  push dx
  mov bx,ax
  shr bx,1
  add bx,ax
  add bx,${FAT_AT}
  test al,1
  jz set_even
  and word [bx],0x000f
  shl dx,4
  jmp set_bits
  set_even: and word [bx],0xf000
  set_bits: or [bx],dx
  pop dx
  pop bx
  ret

  ; A free cluster to AX, marked as a chain's last one.
  allocate: mov ax,2
  allocate_next: push ax
  call next_cluster
  or ax,ax
  pop ax
  jz allocated
  inc ax
  cmp ax,2849
  jb allocate_next
  mov ax,5
  stc
  ret
  allocated: mov dx,0x0fff
  call set_cluster
  clc
  ret

  ; Frees the clusters of entry DI.
  free_chain: mov ax,[di+26]
  free_next: cmp ax,2
  jb freed
  cmp ax,0x0ff0
  jae freed
  push ax
  call next_cluster
  mov si,ax
  pop ax
  xor dx,dx
  call set_cluster
  mov ax,si
  jmp free_next
  freed: ret

  load_tables: mov cx,9
  mov ax,1
  mov bx,${FAT_AT}
  call read_sectors
  mov cx,14
  mov ax,19
  mov bx,${ROOT_AT}
  read_sectors: call read_sector
  inc ax
  add bx,512
  loop read_sectors
  ret

  save_tables: pusha
  mov cx,9
  mov ax,1
  mov bx,${FAT_AT}
  call write_sectors
  mov cx,9
  mov ax,10
  mov bx,${FAT_AT}
  call write_sectors
  mov cx,14
  mov ax,19
  mov bx,${ROOT_AT}
  call write_sectors
  popa
  ret
  write_sectors: call write_sector
  inc ax
  add bx,512
  loop write_sectors
  ret

  ; Sector AX to BX, or BX to sector AX.
  read_sector: mov byte [operation],2
  jmp sector_io
  write_sector: mov byte [operation],3
  sector_io: pusha
  call [driver]
  popa
  jc disk_failed
  ret
  disk_failed: mov si,disk_error
  call print
  halted: hlt
  jmp halted

  to_chs: xor dx,dx
  mov cx,18
  div cx
  inc dx
  mov [sector],dl
  mov dl,al
  and dl,1
  mov [head],dl
  shr ax,1
  mov [cylinder],al
  ret

  bios_io: call to_chs
  mov bp,3
  bios_try: mov ch,[cylinder]
  mov cl,[sector]
  mov dh,[head]
  mov dl,[drive]
  mov ah,[operation]
  mov al,1
  push bp
  int 0x13
  pop bp
  jnc bios_done
  xor ax,ax
  mov dl,[drive]
  int 0x13
  dec bp
  jnz bios_try
  stc
  bios_done: ret

  driver: dw bios_io
  drive: db 0
  operation: db 0
  cylinder: db 0
  head: db 0
  sector: db 0
  buffer: dw 0
  search: dw 0
  found_size: dd 0
  found_name: times 16 db 0
  name: times 11 db 0
  files: times 32 db 0
  disk_error: db 13, 10, "Disk error", 13, 10, 36
`;
