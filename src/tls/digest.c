/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/digest.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>

#include "util/mem.h"

#define RAW_BYTES 32

struct digest {
	gnutls_hash_hd_t hash;
};

struct digest *digest_new(void)
{
	struct digest *d = xnew(struct digest);

	/* sha256 is always there; only memory can be missing */
	if (gnutls_hash_init(&d->hash, GNUTLS_DIG_SHA256) < 0)
		abort();
	return d;
}

void digest_free(struct digest *d)
{
	if (!d)
		return;
	gnutls_hash_deinit(d->hash, NULL);
	free(d);
}

void digest_add(struct digest *d, const void *data, size_t n)
{
	gnutls_hash(d->hash, data, n);
}

static void write_text(const unsigned char *raw, char *ret)
{
	memcpy(ret, "sha256:", 7);
	for (int i = 0; i < RAW_BYTES; i++)
		snprintf(ret + 7 + 2 * i, 3, "%02x", raw[i]);
}

void digest_text(const struct digest *d, char ret[DIGEST_CHARS])
{
	unsigned char raw[RAW_BYTES];
	gnutls_hash_hd_t copy = gnutls_hash_copy(d->hash);

	if (!copy)
		abort();
	gnutls_hash_deinit(copy, raw);
	write_text(raw, ret);
}

void digest_of(const void *data, size_t n, char ret[DIGEST_CHARS])
{
	unsigned char raw[RAW_BYTES];

	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, data, n, raw) < 0)
		abort();
	write_text(raw, ret);
}

static struct err *read_digested(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct digest_source *d = arg;
	size_t n = 0;

	TRY(d->in.read(d->in.arg, buf, size, &n));
	digest_add(d->digest, buf, n);
	d->bytes += (int64_t)n;
	*ret_n = n;
	return NULL;
}

struct source digest_source(struct digest_source *d)
{
	return (struct source) { .read = read_digested, .arg = d };
}
