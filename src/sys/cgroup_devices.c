/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sys/cgroup_int.h"

/* "c 1:3 rwm", "c *:* m", "a" */
static void rule_text(const struct cgroup_device *d, char *buf, size_t size)
{
	char major[24] = "*", minor[24] = "*";

	if (d->major >= 0)
		snprintf(major, sizeof(major), "%ld", d->major);
	if (d->minor >= 0)
		snprintf(minor, sizeof(minor), "%ld", d->minor);
	snprintf(buf, size, "%c %s:%s %s", d->type, major, minor, d->access[0] ? d->access : "rwm");
}

static struct err *put_v1(const char *path, const struct cgroup_device *d)
{
	char text[80];

	/* "a" alone is what the kernel takes for everything. */
	if (d->type == 'a')
		return cgroup_put("devices", path, d->allow ? "devices.allow" : "devices.deny",
				  "a");
	rule_text(d, text, sizeof(text));
	return cgroup_put("devices", path, d->allow ? "devices.allow" : "devices.deny", "%s", text);
}

struct err *cgroup_put_devices(const char *path, const struct cgroup_limits *l)
{
	if (cgroup_is_v2() || !cgroup_has("devices", path, "devices.allow"))
		return NULL;
	for (size_t i = 0; i < l->n_devices; i++)
		TRY_MSG(put_v1(path, &l->devices[i]), "device rule %zu", i);
	return NULL;
}
