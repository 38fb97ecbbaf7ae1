/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/platform.h"

#include "oci/arch.h"
#include "util/mem.h"

struct err *oci_platform_parse(const char *text, struct oci_platform *ret)
{
	const char *slash = strchr(text, '/'), *second = slash ? strchr(slash + 1, '/') : NULL;

	if (!slash || slash == text || !slash[1] || slash + 1 == second ||
	    (second && (!second[1] || strchr(second + 1, '/'))))
		return err_new(ERR_INVALID, "platform \"%s\" is not of the form linux/amd64", text);
	*ret = (struct oci_platform) {
		.os = xstrndup(text, (size_t)(slash - text)),
		.arch =
		    second ? xstrndup(slash + 1, (size_t)(second - slash - 1)) : xstrdup(slash + 1),
		.variant = xstrdup(second ? second + 1 : ""),
	};
	return NULL;
}

void oci_platform_done(struct oci_platform *p)
{
	free(p->os);
	free(p->arch);
	free(p->variant);
	*p = (struct oci_platform) { 0 };
}

const char *oci_platform_host(void)
{
	return "linux/" OCI_ARCH;
}

char *oci_platform_text(const struct oci_platform *p)
{
	return xasprintf("%s/%s%s%s", p->os, p->arch, *p->variant ? "/" : "", p->variant);
}

/* Names of one architecture that are in use. */
static const char *usual_arch(const char *arch)
{
	static const char *const other[][2] = { { "x86_64", "amd64" },
						{ "x86-64", "amd64" },
						{ "aarch64", "arm64" } };

	for (size_t i = 0; i < ARRAY_SIZE(other); i++)
		if (streq(other[i][0], arch))
			return other[i][1];
	return arch;
}

/* "v8" is what arm64 means without a variant. */
static bool variant_matches(const struct oci_platform *want, const struct oci_platform *have)
{
	const char *w = want->variant, *h = have->variant;

	if (streq(usual_arch(want->arch), "arm64"))
		return streq(*w ? w : "v8", *h ? h : "v8");
	return !*w || !*h || streq(w, h);
}

bool oci_platform_matches(const struct oci_platform *want, const struct oci_platform *have)
{
	return streq(want->os, have->os) && streq(usual_arch(want->arch), usual_arch(have->arch)) &&
	       variant_matches(want, have);
}
