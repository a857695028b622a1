package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
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
	return fmt.Sprintf("%s, commit %s, %s, %s, %d cores, load %s, %s, %s", f.Date, f.Commit, f.Go, f.CPU, f.Cores, f.Load, f.Took, f.Command)
}

func machine(started time.Time, before string) facts {
	return facts{
		Date: started.UTC().Format("2006-01-02 15:04Z"), Commit: commit(), Go: runtime.Version(), CPU: cpu(),
		Cores: runtime.NumCPU(), Load: before + " to " + load(), Took: time.Since(started).Round(time.Second).String(),
		Command: "go run ./bench " + strings.Join(os.Args[1:], " "),
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
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, " \t:"))
		}
	}
	return runtime.GOARCH
}

// load is the one-minute load average.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(data))[0]
}

// write makes the result file, one per day and commit.
func write(dir string, rows []row, f facts) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(struct {
		Facts facts `json:"facts"`
		Rows  []row `json:"rows"`
	}{f, rows}, "", "  ")
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%s.json", f.Date[:10], f.Commit)
	return os.WriteFile(filepath.Join(dir, name), append(data, '\n'), 0o644)
}

// median and percentile of durations, in milliseconds.
func percentile(all []time.Duration, p float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := append([]time.Duration(nil), all...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i] < sorted[j] })
	return float64(sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]) / float64(time.Millisecond)
}

// perOp is the median CPU-bound time of f, in microseconds, over rounds of n
// calls.
func perOp(rounds, n int, f func()) float64 {
	var all []time.Duration
	for range rounds {
		start := time.Now()
		for range n {
			f()
		}
		all = append(all, time.Since(start)/time.Duration(n))
	}
	return percentile(all, 0.5) * 1000
}
