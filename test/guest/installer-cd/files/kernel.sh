# Which kernels fit an i386 machine; the new system's is among the installer's answers.
arch_get_kernel_flavour() {
	echo 686
}
arch_check_usable_kernel() {
	return 0
}
arch_get_kernel() {
	echo linux-image-686
}
