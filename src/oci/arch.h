/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OCI_ARCH_H
#define OCI_ARCH_H

/* The one place where the name of our architecture stands. */
#define OCI_ARCH "amd64"

#endif
