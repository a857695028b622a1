package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// facts say where and when a result was made.
type facts struct {
	Date    string `json:"date"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
	CPU     string `json:"cpu"`
	Cores   int    `json:"cores"`
	Load    string `json:"load"` // before and after
	Took    string `json:"took"`
	Command string `json:"command"`
}

func (f facts) String() string {
	return fmt.Sprintf("%s, commit %s, %s, %s, %d cores, load %s, %s, `%s`", f.Date, f.Commit, f.Go, f.CPU, f.Cores, f.Load, f.Took, f.Command)
}

func machine(started time.Time, before string, args []string) facts {
	return facts{
		Date: started.UTC().Format("2006-01-02 15:04Z"), Commit: commit(), Go: runtime.Version(), CPU: cpu(),
		Cores: runtime.NumCPU(), Load: before + " to " + load(), Took: time.Since(started).Round(time.Second).String(),
		Command: strings.TrimSpace("go run ./bench/hospital " + strings.Join(args, " ")),
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

// load is the one-minute load average.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(text))[0]
}
