/* SPDX-License-Identifier: Apache-2.0 */

/* boot_tool: the calls of boot and kvm, for tests/test_boot.py. */

#include <stdio.h>
#include <string.h>

#include "boot/boot.h"
#include "json/json.h"
#include "util/mem.h"

/* add ROOT NAME SOURCE [MODULES] */
static struct err *add(char **a, int n)
{
	const struct boot_source s = {
		.root = a[0], .name = a[1], .source = a[2], .modules = n > 3 ? a[3] : NULL
	};
	OWN(json) json_t *j = NULL;
	OWN(mem) char *text = NULL;

	TRY(boot_kernel_add(&s, &j));
	text = jx_text(j);
	puts(text);
	return NULL;
}

/* initramfs ROOT KERNEL GUEST [FEATURE…] */
static struct err *initramfs(char **a, int n)
{
	OWN(strv) struct strv features = { 0 };
	const struct boot_initramfs b = {
		.root = a[0], .kernel = a[1], .guest = a[2], .features = &features
	};
	OWN(mem) char *path = NULL;

	for (int i = 3; i < n; i++)
		strv_add(&features, a[i]);
	TRY(boot_initramfs_make(&b, &path));
	puts(path);
	return NULL;
}

int main(int argc, char **argv)
{
	OWN(err) struct err *e = NULL;

	if (argc >= 5 && streq(argv[1], "add"))
		e = add(argv + 2, argc - 2);
	else if (argc >= 5 && streq(argv[1], "initramfs"))
		e = initramfs(argv + 2, argc - 2);
	else
		return 2;
	if (e)
		fprintf(stderr, "%s\n", err_text(e));
	return e != NULL;
}
