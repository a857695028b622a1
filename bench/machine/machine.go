// Package machine says where and when a result of a bench was made, so that
// nobody compares figures of two machines, or of a quiet and a busy one.
//
//	started, before := time.Now(), machine.Load()
//	... measure ...
//	facts := machine.Of(started, before, "go run ./bench/hospital -seed 1")
//
// It protects nothing and proves nothing: whoever runs a bench can write any
// facts. It names no host and no person.
package machine

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// Facts say where and when a result was made.
type Facts struct {
	Date    string `json:"date"` // when it began, UTC
	Commit  string `json:"commit"`
	Go      string `json:"go"`
	CPU     string `json:"cpu"`
	Cores   int    `json:"cores"`
	Load    string `json:"load"` // before and after
	Took    string `json:"took"`
	Command string `json:"command"`
}

// String is the facts in a line.
func (f Facts) String() string {
	return fmt.Sprintf("%s, commit %s, %s, %s, %d cores, load %s, %s, `%s`", f.Date, f.Commit, f.Go, f.CPU, f.Cores, f.Load, f.Took, f.Command)
}

// Of is the facts of a run that started then, with the load there was before.
func Of(started time.Time, before, command string) Facts {
	return Facts{
		Date: started.UTC().Format("2006-01-02 15:04Z"), Commit: commit(), Go: runtime.Version(), CPU: cpu(),
		Cores: runtime.NumCPU(), Load: before + " to " + Load(), Took: time.Since(started).Round(time.Second).String(),
		Command: strings.TrimSpace(command),
	}
}

func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func cpu() string {
	all, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(all)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, " \t:"))
		}
	}
	return runtime.GOARCH
}

// Load is the one-minute load average, "unknown" elsewhere than on Linux.
func Load() string {
	text, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) == 0 {
		return "unknown"
	}
	return fields[0]
}
