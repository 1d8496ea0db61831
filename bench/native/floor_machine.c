/* What decides the cost of a socket call on this machine, as one JSON line. */
#include "floor.h"

#include <dirent.h>
#include <sys/utsname.h>

#define TEXT 512

/* The first line of a file; false when it cannot be read. */
static bool read_line(const char *path, char line[TEXT])
{
    FILE *file = fopen(path, "re");
    bool read = file && fgets(line, TEXT, file);
    if (file)
        fclose(file);
    if (read)
        line[strcspn(line, "\n")] = 0;
    return read;
}

static void print_text(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar((unsigned char)*text < ' ' ? ' ' : *text);
    }
    putchar('"');
}

static void print_file(const char *name, const char *path)
{
    char line[TEXT];
    printf(",\"%s\":", name);
    if (read_line(path, line))
        print_text(line);
    else
        printf("null");
}

/* Every weakness of the processor that costs something, with what is done about it. */
static void print_mitigations(void)
{
    static const char folder[] = "/sys/devices/system/cpu/vulnerabilities";
    DIR *names = opendir(folder);
    const char *separator = "";
    printf(",\"mitigations\":{");
    for (struct dirent *name; names && (name = readdir(names));) {
        char path[sizeof folder + 1 + sizeof name->d_name], line[TEXT];
        snprintf(path, sizeof path, "%s/%s", folder, name->d_name);
        if (name->d_name[0] == '.' || !read_line(path, line) || !strcmp(line, "Not affected"))
            continue;
        printf("%s", separator);
        print_text(name->d_name);
        putchar(':');
        print_text(line);
        separator = ",";
    }
    if (names)
        closedir(names);
    putchar('}');
}

void print_machine(void)
{
    struct utsname system;
    char mtu[TEXT];
    uname(&system);
    printf("{\"machine\":{\"kernel\":");
    print_text(system.release);
    print_file("congestion_control", "/proc/sys/net/ipv4/tcp_congestion_control");
    print_file("clocksource", "/sys/devices/system/clocksource/clocksource0/current_clocksource");
    printf(",\"loopback_mtu\":%s", read_line("/sys/class/net/lo/mtu", mtu) ? mtu : "null");
    print_mitigations();
    printf("}}\n");
    fflush(stdout);
}
