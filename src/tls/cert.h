/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_CERT_H
#define TLS_CERT_H

/*
 * What is wrong with a server's certificate, in words: for after a handshake that failed, where
 * the library says only that it did.
 */

#include <stddef.h>
#include <stdint.h>

/**
 * cert_fault() - why a certificate does not do for a host, as far as it says so itself
 * @pem:   the server's own certificate
 * @host:  name or address that was asked for, without a port
 * @now_s: wall clock
 * Return: "certificate has expired on 2026-01-02" and the like, owned by the caller; NULL when it
 *         would do if its issuer were trusted.
 */
char *cert_fault(const char *pem, size_t len, const char *host, int64_t now_s);

#endif
