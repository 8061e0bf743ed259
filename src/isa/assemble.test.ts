import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AssemblyError, assemble } from "./assemble.ts";
import type { CodeBits } from "./encode.ts";

const skip = spawnSync("as", ["--version"]).status === 0 ? false : "GNU as is not installed";

/** Lines that both assemblers read; comments tell what is tried. */
const EVERYWHERE = `
  mov al,bl
  mov ah,ch
  mov cx,dx
  mov esi,edi
  mov bl,5
  mov ax,0x1234
  mov eax,0x12345678
  mov ebx,-1
  mov byte ptr [ebx],7
  mov word ptr [ebx+4],7
  mov dword ptr [ebx+ecx*4-0x1000],7
  mov eax,[esp]
  mov eax,[esp+ebp*2]
  mov eax,[ebp]
  mov eax,fs:[eax+eax]
  add eax,5
  add eax,1000
  add al,5
  add bl,5
  add ecx,-128
  add ecx,128
  sub word ptr [edi],0x1000
  adc [esi],dl
  sbb dx,[esi]
  cmp byte ptr [eax],0xff
  test al,1
  test ecx,0x80000000
  test [eax],ecx
  inc byte ptr [eax]
  neg dx
  xchg ebx,[eax]
  xadd [eax],ebx
  lock cmpxchg [eax],ebx
  lock cmpxchg8b qword ptr [eax]
  movzx eax,bl
  movzx ecx,word ptr [edx]
  movsx dx,byte ptr [ecx]
  lea edx,[eax+eax*4+7]
  cmovnz eax,[ebx]
  setc al
  bswap edi
  shl eax,1
  shl ebx,cl
  sar dword ptr [eax],31
  rcr byte ptr [ecx],1
  shld eax,ebx,5
  shrd [eax],cx,cl
  imul eax
  imul ecx,edx
  imul ecx,edx,10
  imul ecx,[edx],1000
  mul byte ptr [esi]
  div edi
  idiv word ptr [ecx]
  bt eax,ebx
  bts dword ptr [eax],3
  bsf eax,[ebx]
  tzcnt cx,dx
  lzcnt ecx,edx
  popcnt eax,[eax]
  andn eax,ebx,[ecx]
  bextr eax,[ebx],ecx
  blsi eax,ebx
  bzhi ecx,edx,eax
  mulx eax,ebx,[ecx]
  pdep eax,ebx,ecx
  rorx eax,ebx,7
  shlx eax,ebx,ecx
  adcx eax,ebx
  adox eax,[ebx]
  rep movsb
  rep stosd
  repne scasb
  lodsw
  cwd
  cwde
  clc
  std
  pause
  nop
  lahf
  xlatb
  enter 16,2
  leave
  ret
  ret 8
`;

const LEGACY = `
  mov eax,[bx+si+4]
  mov ecx,[bp]
  mov dx,[di-300]
  mov al,fs:[0x1234]
  push eax
  pop dword ptr [ecx]
  inc ecx
  dec bx
  aam 10
  daa
  pusha
  les edx,[ecx]
`;

const LONG = `
  mov rax,rbx
  mov r8b,sil
  mov r9w,r10w
  mov r11d,[r12]
  mov rax,[r13]
  mov rax,[rsp+r15*8+0x12345678]
  mov rax,5
  mov rax,-0x80000000
  mov rax,0x123456789abcdef0
  mov eax,[rip+0x10]
  mov qword ptr [rip-0x10],1
  push 5
  push -129
  push r12
  pop qword ptr [rax]
  call rax
  jmp qword ptr [rax+rbx*8]
  movsxd rax,ecx
  movzx r8,byte ptr [rax]
  cmpxchg16b [rdi]
  xchg r8,rax
  xchg rcx,rax
  cqo
  cdqe
  movsq
  bswap r15
  andn r8,r9,r10
  shrx rax,[r8],r15
  pext r8d,r9d,[r10d]
  test rax,-1
  imul rax,rbx,-5
`;

/** Checks each line's bytes, filled up to 16 with CC. */
function assertSame(bits: CodeBits, lines: readonly string[]): void {
  const directory = mkdtempSync(join(tmpdir(), "assemble-"));
  try {
    const source = join(directory, "in.s");
    const object = join(directory, "out.o");
    const binary = join(directory, "out.bin");
    // Each line starts at a multiple of 16.
    const aligned = lines.map((line) => `.balign 16,0xcc\n${line}`);
    writeFileSync(source, `.code${bits}\n.intel_syntax noprefix\n${aligned.join("\n")}\n.balign 16,0xcc\n`);
    execFileSync("as", [bits === 64 ? "--64" : "--32", "-o", object, source]);
    execFileSync("objcopy", ["-O", "binary", "-j", ".text", object, binary]);
    const theirs = readFileSync(binary);
    const listed = (bytes: Uint8Array, line: string) =>
      `${Buffer.from(bytes).toString("hex").padEnd(32, "c")} ${line.trim()}`;
    assert.deepEqual(
      lines.map((line) => listed(assemble(line, { bits }).bytes, line)),
      lines.map((line, i) => listed(theirs.subarray(i * 16, i * 16 + 16), line)),
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const linesOf = (text: string) => text.split("\n").filter((line) => line.trim() !== "");

test("16-bit and 32-bit lines assemble to the bytes that GNU as makes", { skip }, () => {
  for (const bits of [16, 32] as const) assertSame(bits, linesOf(EVERYWHERE + LEGACY));
});

test("64-bit lines assemble to the bytes that GNU as makes", { skip }, () => {
  assertSame(64, linesOf(EVERYWHERE + LONG));
});

const hexOf = (source: string, bits: CodeBits, origin = 0n) =>
  Buffer.from(assemble(source, { bits, origin }).bytes).toString("hex");

test("a jump is short where its label is near and long where it is not", () => {
  assert.equal(hexOf("a: jmp a\n jnz b\n times 3 nop\nb:", 32), "ebfe7503909090");
  assert.equal(hexOf("jz b\n times 0x80 nop\nb:", 32).slice(0, 12), "0f8480000000");
  assert.equal(hexOf("call b\nb: jmp near b", 16), "e80000ebfe");
});

test("labels, data and equ stand for numbers", () => {
  const { bytes, symbols } = assemble(
    "size equ end-start\nstart: dw size,end\n db 'ab',0\nalign 8,0\nend:\n dq start",
    {
      bits: 64,
      origin: 0x100n,
    },
  );
  assert.equal(Buffer.from(bytes).toString("hex"), "08000801616200000001000000000000");
  assert.equal(symbols.get("end"), 0x108n);
});

test("rel makes an address relative to the next instruction", () => {
  assert.equal(hexOf("mov eax,[rel x]\nx:", 64, 0x1000n), "8b0500000000");
  assert.equal(hexOf("x: mov dword [rel x],1", 64, 0x1000n), "c705f6ffffff01000000");
});

test("bits changes what code is assembled for", () => {
  assert.equal(hexOf("bits 16\nmov [0x1234],al\nbits 32\nmov [0x1234],al", 64), "a23412a234120000");
});

test("mistakes are told with line number and text", () => {
  const wrong = (source: string, message: RegExp) =>
    assert.throws(
      () => assemble(source, { bits: 64 }),
      (error) => error instanceof AssemblyError && message.test(error.message),
    );
  wrong("nop\nmov [rax],1", /line 2: .* needs a size/);
  wrong("mov rax,bl", /line 1: no form of mov takes these operands/);
  wrong("frobnicate", /"frobnicate" is no instruction/);
  wrong("jmp nowhere", /"nowhere" is not defined/);
  wrong("mov ah,r8b", /no form/);
  wrong("push eax", /no form/);
  wrong("add rax,0x80000000", /no form/);
  wrong("mov eax,[eax+rbx]", /differ in size/);
});
