/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_DOCKER_SPEC_H
#define API_DOCKER_SPEC_H

/*
 * Docker's words for a spec: the body of POST /containers/create in, Config and HostConfig
 * of inspect out, by the same tables.  Pure: no I/O, no clock.
 *
 * Spec: Docker Engine API 1.50, ContainerCreate, ContainerConfig, HostConfig.
 */

#include "json/json.h"
#include "model/spec.h"
#include "util/err.h"

/**
 * docker_spec_read() - a spec from a create body
 * @name: as the client asked; NULL or "": chosen by the engine; one leading '/' is cut
 * @body: the whole JSON body
 * @ret:  not yet checked by spec_check(); kind from HostConfig.Runtime or Isolation
 * Return: NULL; ERR_INVALID with dockerd's words where it has some; ERR_UNSUPPORTED for what
 *         hostel refuses by name (VolumesFrom, an unknown runtime, …).
 */
struct err *docker_spec_read(const char *name, const json_t *body, struct spec **ret) MUST_USE;

/** docker_config() - Config of inspect; new reference */
json_t *docker_config(const struct spec *s);

/** docker_host_config() - HostConfig of inspect; new reference */
json_t *docker_host_config(const struct spec *s);

/** docker_mount_types() - names for spec_mount.type */
extern const char *const docker_mount_types[];

/**
 * docker_labels_read() - take what labels hostel.* say into the spec
 * Return: NULL, or ERR_INVALID naming the label.
 */
struct err *docker_labels_read(struct spec *s) MUST_USE;

/**
 * docker_net_rate_read() - "100mbit[,50mbit]": egress, then ingress (else the same), in bit/s
 * Return: NULL, or ERR_INVALID.
 */
struct err *docker_net_rate_read(const char *text, int64_t *ret_egress,
				 int64_t *ret_ingress) MUST_USE;

/** docker_restart_read() - "no", "on-failure[:N]", "always", "unless-stopped" into @s */
struct err *docker_restart_read(const char *text, struct spec *s) MUST_USE;

/**
 * docker_endpoint_read() - EndpointSettings: Aliases, MacAddress, IPAMConfig.IPv4Address into @ret
 * @j: null and absent say nothing
 */
struct err *docker_endpoint_read(const json_t *j, struct spec_endpoint *ret) MUST_USE;

/** docker_endpoint_done() - free what it filled in */
void docker_endpoint_done(struct spec_endpoint *end);

/* ---- parts, each in a file of its own ---- */

/* The spec that a codec's const slot is a member of. */
#define SPEC_OF(slot, member)                                                                      \
	((const struct spec *)(const void *)((const char *)(slot)-offsetof(struct spec, member)))

/** docker_port_bindings_read() - HostConfig.PortBindings; slot is spec.ports */
struct err *docker_port_bindings_read(const json_t *j, void *slot) MUST_USE;
/** docker_port_bindings_write() - the way back; new reference */
json_t *docker_port_bindings_write(const void *slot);

/** docker_exposed_read() - Config.ExposedPorts; slot is spec.exposed */
struct err *docker_exposed_read(const json_t *j, void *slot) MUST_USE;
/** docker_exposed_write() - the way back; new reference */
json_t *docker_exposed_write(const void *slot);

/** docker_ports_map() - {"80/tcp":[{"HostIp":…,"HostPort":…}], "81/tcp":null}; new reference */
json_t *docker_ports_map(const struct spec_port *ports, size_t n, const struct strv *exposed);

/** docker_mounts_read() - HostConfig.Mounts; slot is spec.mounts */
struct err *docker_mounts_read(const json_t *j, void *slot) MUST_USE;
/** docker_mounts_write() - those that neither -v nor the image said; new reference */
json_t *docker_mounts_write(const void *slot);

/** docker_binds_read() - parse spec.binds into mounts; ERR_INVALID */
struct err *docker_binds_read(struct spec *s) MUST_USE;

/** docker_mounts_check() - no two mounts on one target; ERR_INVALID "Duplicate mount point: x" */
struct err *docker_mounts_check(const struct spec *s) MUST_USE;

#endif
