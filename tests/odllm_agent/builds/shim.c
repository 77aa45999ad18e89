/* Stands in front of ggml's computing: lets products with weights of one type crash or come out wrong.
 *
 * STRIKE_TYPE is ggml's number of the type, STRIKE_PATH `plain` or `layout`, STRIKE_HOW `crash` or `wrong`.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "ggml-backend.h"
#include "ggml.h"

struct ggml_cplan;
typedef enum ggml_status (*compute_fn)(struct ggml_cgraph *, struct ggml_cplan *);

static void * of_base(const char * name) {
    return dlsym(dlopen("libggml-base.so.0", RTLD_NOW | RTLD_NOLOAD), name);
}

static int is_struck(const struct ggml_tensor * node) {
    const char * (*buffer_name)(ggml_backend_buffer_t) = of_base("ggml_backend_buffer_name");
    const struct ggml_tensor * weights = node->src[0];
    if (node->op != GGML_OP_MUL_MAT || (int) weights->type != atoi(getenv("STRIKE_TYPE"))) {
        return 0;
    }
    const char * place = weights->buffer ? buffer_name(weights->buffer) : "CPU";
    int plain = strcmp(place, "CPU") == 0 || strcmp(place, "CPU_Mapped") == 0;
    return plain == (strcmp(getenv("STRIKE_PATH"), "plain") == 0);
}

enum ggml_status ggml_graph_compute(struct ggml_cgraph * graph, struct ggml_cplan * plan) {
    int (*n_nodes)(struct ggml_cgraph *) = of_base("ggml_graph_n_nodes");
    struct ggml_tensor * (*node_of)(struct ggml_cgraph *, int) = of_base("ggml_graph_node");
    Dl_info caller;
    dladdr(__builtin_return_address(0), &caller);
    compute_fn real = (compute_fn) dlsym(dlopen(caller.dli_fname, RTLD_NOW | RTLD_NOLOAD), "ggml_graph_compute");
    int crash = strcmp(getenv("STRIKE_HOW"), "crash") == 0;
    for (int i = 0; crash && i < n_nodes(graph); i++) {
        if (is_struck(node_of(graph, i))) {
            raise(SIGSEGV);
        }
    }
    enum ggml_status status = real(graph, plan);
    for (int i = 0; !crash && i < n_nodes(graph); i++) {
        struct ggml_tensor * node = node_of(graph, i);
        if (is_struck(node)) {
            ((float *) node->data)[0] += 1e6f;
        }
    }
    return status;
}
