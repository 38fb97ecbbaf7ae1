/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The probe's guest.  Two pieces, copied into guest memory by probe_x86_64.c: one for
 * real mode, one for long mode at ring 0.  They speak by bytes to port 0x80.
 */

	.section .rodata

	.globl	kvm_guest_real, kvm_guest_real_end
	.code16
kvm_guest_real:
	movw	$1000, %cx
	xorw	%ax, %ax
1:	addw	%cx, %ax
	loop	1b
	cmpw	$0xa314, %ax		/* 1000 + 999 + … + 1, mod 65536 */
	jne	2f
	movb	$'R', %al
	outb	%al, $0x80
2:	hlt
kvm_guest_real_end:

	.globl	kvm_guest_long, kvm_guest_long_end
	.code64
	/* rdi: rounds of the timed loop; rsp: stack; rsi: scratch page */
kvm_guest_long:
	movb	$'B', %al
	outb	%al, $0x80

	/* Four instructions a round, among them one that only ring 0 may do. */
	movq	%rdi, %rcx
1:	movq	%cr0, %rax
	xorq	%rcx, %rdx
	decq	%rcx
	jnz	1b
	movb	$'L', %al
	outb	%al, $0x80

	/* What every kernel does early: each step tells its name first. */
	movb	$'c', %al
	outb	%al, $0x80
	xorl	%eax, %eax
	cpuid

	movb	$'m', %al
	outb	%al, $0x80
	movl	$0xc0000101, %ecx	/* MSR_GS_BASE */
	movl	%esi, %eax
	xorl	%edx, %edx
	wrmsr
	rdmsr
	cmpl	%esi, %eax
	jne	9f
	swapgs
	swapgs
	movq	%rsi, %gs:0
	cmpq	%rsi, (%rsi)
	jne	9f

	movb	$'f', %al
	outb	%al, $0x80
	movq	%cr4, %rax
	orq	$0x600, %rax		/* OSFXSR, OSXMMEXCPT */
	movq	%rax, %cr4
	fninit
	movq	%rsi, %xmm0
	movups	%xmm0, 64(%rsi)
	movq	64(%rsi), %rax
	cmpq	%rsi, %rax
	jne	9f
	fxsave	512(%rsi)

	movb	$'p', %al
	outb	%al, $0x80
	invlpg	(%rsi)
	movq	%cr3, %rax
	movq	%rax, %cr3
	lock cmpxchgq %rax, (%rsi)
	rdtsc

	movb	$'i', %al
	outb	%al, $0x80
	movq	%rsp, %rbx
	pushq	$0x10			/* ss */
	pushq	%rbx
	pushfq
	pushq	$0x08			/* cs */
	leaq	2f(%rip), %rax
	pushq	%rax
	iretq
2:	movb	$'E', %al
	outb	%al, $0x80
9:	hlt
kvm_guest_long_end:

	.section .note.GNU-stack, "", @progbits
