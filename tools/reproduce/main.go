// Command reproduce builds the binaries of a module a second time, from a copy
// of its files in another folder and with an empty build cache, and compares
// them with those in bin/.
//
//	go run ./reproduce ..
//	go run ./reproduce .. abaton-keeper
//
// Names after the module limit it to those binaries.
//
// Equal bytes show that the build depends on the files and the Go release
// alone. It does not show that the Go release is honest.
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintln(stderr, "use: reproduce MODULE [BINARY...]")
		return 2
	}
	same, err := reproduce(args[0], args[1:], stdout)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	if !same {
		return 1
	}
	return 0
}

func reproduce(module string, names []string, stdout io.Writer) (same bool, err error) {
	dir, err := os.MkdirTemp("", "abaton-reproduce-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, "module")
	if err := copyTracked(module, copied); err != nil {
		return false, fmt.Errorf("copy the module: %w", err)
	}
	built := filepath.Join(dir, "bin") + string(filepath.Separator)
	what := []string{"./cmd/..."}
	if len(names) > 0 {
		what = nil
		for _, name := range names {
			what = append(what, "./cmd/"+name)
		}
	}
	cmd := exec.Command("go", append([]string{"build", "-trimpath", "-buildvcs=false", "-o", built}, what...)...)
	cmd.Dir = copied
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOCACHE="+filepath.Join(dir, "cache"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return false, fmt.Errorf("build the copy: %w\n%s", err, out)
	}
	return compare(built, filepath.Join(module, "bin"), stdout)
}

// copyTracked copies what a commit of the work tree would hold.
func copyTracked(from, to string) error {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = from
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func compare(built, shipped string, stdout io.Writer) (same bool, err error) {
	entries, err := os.ReadDir(built)
	if err != nil {
		return false, err
	}
	same = len(entries) > 0
	for _, e := range entries {
		a, err := os.ReadFile(filepath.Join(built, e.Name()))
		if err != nil {
			return false, err
		}
		b, err := os.ReadFile(filepath.Join(shipped, e.Name()))
		if err != nil {
			return false, err
		}
		verdict := "same bytes"
		if !bytes.Equal(a, b) {
			same, verdict = false, "OTHER BYTES"
		}
		fmt.Fprintf(stdout, "%x  %-16s %s\n", sha256.Sum256(b), e.Name(), verdict)
	}
	return same, nil
}
