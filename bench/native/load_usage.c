/* Processor time of processes, from the scheduler: nanoseconds of all their threads and of all their descendants'.
 *
 * The first field of schedstat is the time on a processor, the third how often a thread was put on one. A thread that has ended is
 * no longer counted. */
#include "load.h"

#include <dirent.h>

static bool add_process(pid_t process, struct usage *usage);

static void add_thread(const char *folder, const char *thread, struct usage *usage)
{
    char path[320];
    long long cpu_ns, waited_ns, switches;
    snprintf(path, sizeof path, "%s/%s/schedstat", folder, thread);
    FILE *file = fopen(path, "re");
    if (file) {
        if (fscanf(file, "%lld %lld %lld", &cpu_ns, &waited_ns, &switches) == 3) {
            usage->cpu_ns += cpu_ns;
            usage->switches += switches;
        }
        fclose(file);
    }
    snprintf(path, sizeof path, "%s/%s/children", folder, thread);
    file = fopen(path, "re");
    if (file) {
        int child;
        while (fscanf(file, "%d", &child) == 1)
            add_process(child, usage);
        fclose(file);
    }
}

/* False when it has ended. */
static bool add_process(pid_t process, struct usage *usage)
{
    char folder[32];
    snprintf(folder, sizeof folder, "/proc/%d/task", (int)process);
    DIR *threads = opendir(folder);
    if (!threads)
        return false;
    for (struct dirent *entry; (entry = readdir(threads));)
        if (entry->d_name[0] != '.')
            add_thread(folder, entry->d_name, usage);
    closedir(threads);
    return true;
}

struct usage usage_of(const pid_t *processes, int count)
{
    struct usage usage = {0};
    for (int i = 0; i < count; i++)
        usage.gone |= !add_process(processes[i], &usage);
    return usage;
}
