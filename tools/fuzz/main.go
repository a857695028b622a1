// Command fuzz runs every Fuzz function of a module for a given time each,
// one after the other, and says which ran how long at which commit.
//
//	go run ./fuzz -time 60s -out ../bench/results/fuzz.txt ..
//
// It finds targets by reading the test files; a target that cannot be run is
// an error. It proves nothing about what it did not reach.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("fuzz", flag.ContinueOnError)
	flags.SetOutput(stderr)
	each := flags.Duration("time", time.Minute, "how long each target runs")
	out := flags.String("out", "", "file for the result, besides standard output")
	only := flags.String("only", "", "run only targets whose folder or name contains this")
	if err := flags.Parse(args); err != nil || flags.NArg() != 1 {
		fmt.Fprintln(stderr, "use: fuzz [-time 60s] [-out FILE] [-only WORD] MODULE")
		return 2
	}
	root := flags.Arg(0)
	targets, err := find(root)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	report := new(strings.Builder)
	both := io.MultiWriter(stdout, report)
	fmt.Fprintf(both, "commit %s\n%s\n%s for each target\n", say(root, "git", "describe", "--always", "--dirty"), say(root, "go", "version"), *each)
	failed := 0
	for _, t := range targets {
		if !strings.Contains(t.dir+" "+t.name, *only) {
			continue
		}
		if err := t.run(root, *each, both, stderr); err != nil {
			failed++
		}
	}
	fmt.Fprintf(both, "%d targets failed\n", failed)
	if *out != "" {
		if err := os.WriteFile(*out, []byte(report.String()), 0o644); err != nil {
			fmt.Fprintln(stderr, err)
			return 2
		}
	}
	if failed > 0 {
		return 1
	}
	return 0
}

type target struct{ dir, name string }

var fuzzFunction = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

// find lists the targets of the module at root; nested modules are left out.
func find(root string) (targets []target, err error) {
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, nested := os.Stat(filepath.Join(p, "go.mod"))
			hidden := strings.HasPrefix(d.Name(), ".") && d.Name() != "." && d.Name() != ".."
			if p != root && (hidden || d.Name() == "testdata" || nested == nil) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(p))
		for _, m := range fuzzFunction.FindAllSubmatch(source, -1) {
			targets = append(targets, target{dir: "./" + filepath.ToSlash(dir), name: string(m[1])})
		}
		return err
	})
	if err == nil && len(targets) == 0 {
		err = errors.New("no fuzz target found")
	}
	return targets, err
}

var executions = regexp.MustCompile(`execs: (\d+)`)

func (t target) run(root string, each time.Duration, report, stderr io.Writer) error {
	start := time.Now()
	output, err := t.once(root, each)
	if err != nil && outOfTime(output) {
		output, err = t.once(root, each)
	}
	execs := "0"
	if all := executions.FindAllSubmatch(output, -1); len(all) > 0 {
		execs = string(all[len(all)-1][1])
	}
	verdict := "ok"
	if err != nil {
		verdict = "FAILED"
		fmt.Fprintf(stderr, "%s\n", output)
	}
	fmt.Fprintf(report, "%-6s %-24s %-32s %6.0fs %s executions\n", verdict, t.dir, t.name, time.Since(start).Seconds(), execs)
	return err
}

func (t target) once(root string, each time.Duration) ([]byte, error) {
	cmd := exec.Command("go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", each.String(), t.dir)
	cmd.Dir = root
	return cmd.CombinedOutput()
}

// outOfTime reports whether a run failed only because its time ended while the
// engine shortened an input, as go test -fuzz may: nothing was found then, and
// the run counts for nothing.
func outOfTime(output []byte) bool {
	return bytes.Contains(output, []byte("context deadline exceeded")) &&
		!bytes.Contains(output, []byte("Failing input written"))
}

// say is one line of a command's output, or "unknown".
func say(dir, name string, args ...string) string {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
