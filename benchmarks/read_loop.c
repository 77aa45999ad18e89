/* A STREAM-like loop that only reads: how many bytes per second so many threads can sum up.
 *
 * read_loop THREADS BYTES SECONDS prints the best of all passes that begin within the seconds.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MOST_THREADS 512

typedef struct {
    const double *start;
    size_t n_values;
    double sum;
} Part;

static void *sum_up(void *given) {
    Part *part = given;
    const double *values = part->start;
    double sum = 0;
    for (size_t place = 0; place < part->n_values; place++) sum += values[place];
    part->sum = sum;
    return NULL;
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double pass_s(Part *parts, int threads) {
    pthread_t running[MOST_THREADS];
    double start = now_s();
    for (int each = 0; each < threads; each++)
        if (pthread_create(&running[each], NULL, sum_up, &parts[each])) exit(1);
    for (int each = 0; each < threads; each++) pthread_join(running[each], NULL);
    return now_s() - start;
}

int main(int count, char **words) {
    if (count != 4) return 2;
    int threads = atoi(words[1]);
    if (threads < 1 || threads > MOST_THREADS) return 2;
    size_t per_thread = (size_t)atoll(words[2]) / sizeof(double) / (size_t)threads;
    size_t n_values = per_thread * (size_t)threads;
    double *values = malloc(n_values * sizeof(double));
    if (!values) return 1;
    /* Not zeros: a compiler makes calloc of those, whose pages are all the same one. */
    for (size_t place = 0; place < n_values; place++) values[place] = (double)(place & 7);
    static Part parts[MOST_THREADS];
    for (int each = 0; each < threads; each++)
        parts[each] = (Part){values + per_thread * (size_t)each, per_thread, 0};
    double end = now_s() + atof(words[3]), best_s = pass_s(parts, threads), sum = 0;
    while (now_s() < end) {
        double took_s = pass_s(parts, threads);
        if (took_s < best_s) best_s = took_s;
    }
    for (int each = 0; each < threads; each++) sum += parts[each].sum;
    printf("%.0f %.0f\n", (double)(n_values * sizeof(double)) / best_s, sum);
    return 0;
}
