package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/abaton-health/abaton/internal/local"
)

// memoryMax is what the five keepers, the gateway and the authorities may use together.
const memoryMax = 2 << 30

// memory reports the most that the network's processes used at the end of any step.
func (d *demo) memory(context.Context) (result, error) {
	r := result{figure: float64(d.peak) / (1 << 20), unit: "MB"}
	r.detail = fmt.Sprintf("resident, five keepers, gateway and authorities together, the most at the end of a step; the limit is %d", memoryMax>>20)
	if d.peak == 0 || d.peak > memoryMax {
		return r, errors.New("over the limit, or not measured")
	}
	return r, nil
}

// weigh adds up the memory of the network's processes, which are all children
// of this one.
func (d *demo) weigh() error {
	all, err := children(os.Getpid())
	if err != nil {
		return fmt.Errorf("measure memory: %w", err)
	}
	var sum int64
	for _, kb := range all {
		sum += kb << 10
	}
	if len(all) > local.Keepers+1+local.Authorities {
		return fmt.Errorf("measure memory: %d processes run", len(all))
	}
	d.peak = max(d.peak, sum)
	return nil
}

// children are the resident kilobytes of a process's children: from /proc
// where there is one, else from ps.
func children(parent int) (kilobytes []int64, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return childrenFromPS(parent)
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		status, err := os.ReadFile("/proc/" + e.Name() + "/status")
		if err != nil {
			continue // it has ended
		}
		if above, kb := inStatus(status); above == parent && kb > 0 {
			kilobytes = append(kilobytes, kb)
		}
	}
	return kilobytes, nil
}

// inStatus reads parent and resident size of /proc/PID/status.
func inStatus(status []byte) (parent int, kilobytes int64) {
	lines := bufio.NewScanner(bytes.NewReader(status))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		switch name {
		case "PPid":
			parent, _ = strconv.Atoi(fields[0])
		case "VmRSS":
			kilobytes, _ = strconv.ParseInt(fields[0], 10, 64)
		}
	}
	return parent, kilobytes
}

func childrenFromPS(parent int) (kilobytes []int64, err error) {
	c := exec.Command("ps", "-axo", "ppid=,rss=,comm=")
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("ps: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != strconv.Itoa(parent) || strings.HasSuffix(fields[2], "ps") {
			continue
		}
		kb, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return nil, errors.New("ps: unexpected output")
		}
		kilobytes = append(kilobytes, kb)
	}
	return kilobytes, nil
}
