package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is one process under way.
type child struct {
	name  string // for people: "keeper 3"
	cmd   *exec.Cmd
	log   string        // its log file
	ended chan struct{} // closed when it has ended
	err   error         // how it ended; read after ended
	meant bool          // it was told to end; guarded by Processes.mu
}

// starter starts processes from one thread that lives as long as it does:
// Linux ends a child when the thread that started it ends.
type starter struct {
	work chan func()
	gone sync.WaitGroup
}

func newStarter() *starter {
	s := &starter{work: make(chan func())}
	s.gone.Go(func() {
		runtime.LockOSThread()
		for f := range s.work {
			f()
		}
	})
	return s
}

func (s *starter) close() {
	close(s.work)
	s.gone.Wait()
}

// start starts a binary, its output appended to dir/log/<name>.log.
func (s *starter) start(name, binary, dir string, args ...string) (*child, error) {
	if err := os.MkdirAll(filepath.Join(dir, "log"), 0o700); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c := &child{name: name, log: filepath.Join(dir, "log", filepath.Base(binary)+".log"), ended: make(chan struct{})}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer log.Close()
	c.cmd = exec.Command(binary, args...)
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr, c.cmd.SysProcAttr = dir, log, log, childAttributes()
	started := make(chan error)
	s.work <- func() { started <- c.cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	s.gone.Go(func() {
		c.err = c.cmd.Wait()
		close(c.ended)
	})
	return c, nil
}

// end sends a signal and waits; after grace it kills.
func (c *child) end(signal os.Signal, grace time.Duration) error {
	if err := c.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", c.name, err)
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.ended:
		return nil
	case <-timer.C:
	}
	err := c.cmd.Process.Kill()
	<-c.ended
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", c.name, err)
	}
	return fmt.Errorf("stop %s: killed, for it did not end within %v", c.name, grace)
}

// ExitError says that a process ended by itself.
type ExitError struct {
	Name string // "keeper 3", "gateway"
	Log  string // its log file
	Err  error
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("%s ended (%v): %s; its log is %s", e.Name, e.Err, lastLine(e.Log), e.Log)
}

// lastLine is what a log says last.
func lastLine(path string) string {
	const enough = 2 << 10
	f, err := os.Open(path)
	if err != nil {
		return "no log"
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return "no log"
	}
	text, err := io.ReadAll(io.NewSectionReader(f, max(0, size-enough), enough))
	if err != nil {
		return "no log"
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// Unwrap gives how the process ended.
func (e *ExitError) Unwrap() error { return e.Err }

func (c *child) exit() *ExitError {
	err := c.err
	if err == nil {
		err = errors.New("exit 0")
	}
	return &ExitError{Name: c.name, Log: c.log, Err: err}
}

// pollInterval is how often a process is asked whether it is ready.
const pollInterval = 15 * time.Millisecond

// await asks url until it answers 200; an error if the process ends first.
func (c *child) await(ctx context.Context, url string) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		answers := healthy(ctx, url)
		if !running(c) { // what answers there is somebody else
			return c.exit()
		}
		if answers {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", c.name, ctx.Err())
		case <-c.ended:
			return c.exit()
		case <-ticker.C:
		}
	}
}

func healthy(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// hangUp is the signal that asks a process to end in order.
const hangUp = syscall.SIGTERM
