/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/data.h"

#include "util/mem.h"

struct err *data_open(struct job *j, struct data_in *d, struct source *ret)
{
	enum unz_kind kind;

	if (j->data_fd < 0)
		return err_new(ERR_INVALID, "the job has no data on descriptor 3");
	d->fd = j->data_fd;
	TRY(unz_new(source_fd(&d->fd), &d->unz));
	*ret = unz_source(d->unz);
	kind = unz_kind(d->unz);
	if (kind == UNZ_XZ || kind == UNZ_BZIP2) {
		TRY(tar_inflate_new(*ret, &d->inflate));
		*ret = tar_inflate_source(d->inflate);
	}
	return NULL;
}

void data_done(struct data_in *d)
{
	tar_inflate_free(d->inflate);
	unz_free(d->unz);
}

struct err *job_platform(const struct job *j, struct oci_platform *ret)
{
	const char *text = jx_str(j->args, "platform", NULL);

	return oci_platform_parse(text && *text ? text : oci_platform_host(), ret);
}

struct err *job_check_platform(const struct job *j, const char *image,
			       const struct oci_platform *have)
{
	OWN(oci_platform) struct oci_platform want = { 0 };
	OWN(oci_platform) struct oci_platform host = { 0 };
	OWN(mem) char *text = oci_platform_text(have);

	TRY(job_platform(j, &want));
	TRY(oci_platform_parse(oci_platform_host(), &host));
	if (!oci_platform_matches(&host, have))
		return err_new(ERR_UNSUPPORTED,
			       "image %s is for platform %s, this host runs %s only", image, text,
			       oci_platform_host());
	if (!oci_platform_matches(&want, have)) {
		OWN(mem) char *asked = oci_platform_text(&want);

		return err_new(ERR_UNSUPPORTED, "image %s is for platform %s, not %s as asked",
			       image, text, asked);
	}
	return NULL;
}
