package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// spent is the processor time of one process.
type spent struct {
	name    string
	seconds float64
}

// ticksPerSecond is the unit of /proc: USER_HZ, 100 on every Linux.
const ticksPerSecond = 100

// cpuUnder is what the processes with their folder under dir have spent, and
// this one, by process id. Elsewhere than on Linux it is empty.
func cpuUnder(dir string) map[string]spent {
	found := make(map[string]spent)
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return found
	}
	for _, p := range all {
		at, err := os.Readlink(p + "/cwd")
		own := filepath.Base(p) == strconv.Itoa(os.Getpid())
		if err != nil || !own && !strings.HasPrefix(at, dir+"/") {
			continue
		}
		text, err := os.ReadFile(p + "/stat")
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 13 {
			continue
		}
		busy, err1 := strconv.ParseFloat(fields[11], 64)
		system, err2 := strconv.ParseFloat(fields[12], 64)
		name := strings.TrimRight(filepath.Base(at), "12345")
		if own {
			name = "sender"
		}
		if err1 == nil && err2 == nil {
			found[filepath.Base(p)] = spent{name, (busy + system) / ticksPerSecond}
		}
	}
	return found
}
