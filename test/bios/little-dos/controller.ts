/**
 * Little DOS's own driver of the floppy controller: DMA channel 2, interrupt 6, no BIOS.
 * @spec Intel 82077AA datasheet (290166), §5; Intel 8237A datasheet (231466)
 */
export const CONTROLLER = `
  ; Takes the controller over from the BIOS.
  chip_on: mov ax,[0x38]
  mov [bios_irq6],ax
  mov ax,[0x3a]
  mov [bios_irq6+2],ax
  cli
  mov word [0x38],irq6
  mov word [0x3a],0
  in al,0x21
  and al,0xbf
  out 0x21,al
  sti
  mov byte [irq_seen],0
  mov dx,0x3f2
  xor al,al
  out dx,al
  mov al,0x1c
  out dx,al
  call wait_irq
  mov cx,4
  sense_drives: call sense
  loop sense_drives
  mov dx,0x3f7
  xor al,al
  out dx,al
  mov al,0x03
  call send
  mov al,0xdf
  call send
  mov al,0x02
  call send
  mov al,0x07
  call send
  xor al,al
  call send
  call wait_irq
  call sense
  mov word [driver],chip_io
  ret

  ; Gives it back.
  chip_off: cli
  mov ax,[bios_irq6]
  mov [0x38],ax
  mov ax,[bios_irq6+2]
  mov [0x3a],ax
  sti
  mov word [driver],bios_io
  xor ax,ax
  mov dl,[drive]
  int 0x13
  ret

  irq6: push ax
  mov byte [irq_seen],1
  mov al,0x20
  out 0x20,al
  pop ax
  iret

  wait_irq: cmp byte [irq_seen],0
  jne irq_came
  hlt
  jmp wait_irq
  irq_came: mov byte [irq_seen],0
  ret

  ; A byte of a command.
  send: push dx
  push ax
  mov dx,0x3f4
  send_wait: in al,dx
  and al,0xc0
  cmp al,0x80
  jne send_wait
  pop ax
  inc dx
  out dx,al
  pop dx
  ret

  ; A byte of a result.
  receive: push dx
  mov dx,0x3f4
  receive_wait: in al,dx
  and al,0xc0
  cmp al,0xc0
  jne receive_wait
  inc dx
  in al,dx
  pop dx
  ret

  sense: mov al,0x08
  call send
  call receive
  call receive
  ret

  ; Sector AX to or from BX.
  chip_io: call to_chs
  ; The BIOS must not stop the motor.
  mov byte [0x440],0xff
  mov al,0x0f
  call send
  mov al,[head]
  shl al,2
  call send
  mov al,[cylinder]
  call send
  call wait_irq
  call sense
  mov al,0x06
  out 0x0a,al
  out 0x0c,al
  mov al,0x46
  cmp byte [operation],2
  je dma_mode
  mov al,0x4a
  dma_mode: out 0x0b,al
  mov al,bl
  out 0x04,al
  mov al,bh
  out 0x04,al
  xor al,al
  out 0x81,al
  mov al,0xff
  out 0x05,al
  mov al,0x01
  out 0x05,al
  mov al,0x02
  out 0x0a,al
  mov al,0x46
  cmp byte [operation],2
  je chip_command
  mov al,0x45
  chip_command: call send
  mov al,[head]
  shl al,2
  call send
  mov al,[cylinder]
  call send
  mov al,[head]
  call send
  mov al,[sector]
  call send
  mov al,2
  call send
  mov al,18
  call send
  mov al,0x1b
  call send
  mov al,0xff
  call send
  call wait_irq
  call receive
  mov ah,al
  mov cx,6
  other_results: call receive
  loop other_results
  test ah,0xc0
  jz chip_done
  stc
  chip_done: ret

  bios_irq6: dw 0, 0
  irq_seen: db 0
`;
