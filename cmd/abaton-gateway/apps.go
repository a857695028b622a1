package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/abaton-health/abaton/internal/smart"
)

// appsFile is the registry of apps on disk. It is read again when it changes,
// so that an app can be added or taken out without ending anybody's session. A
// change that does not hold leaves the former registry in force, and is logged.
type appsFile struct {
	path string
	log  *slog.Logger

	mu    sync.Mutex
	now   *smart.Registry
	mark  time.Time
	bytes int64
}

// openApps reads the registry; nil for an empty path.
func openApps(path string, log *slog.Logger) (*appsFile, error) {
	if path == "" {
		return nil, nil
	}
	f := &appsFile{path: path, log: log}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("settings: apps: %w", err)
	}
	f.mark, f.bytes = info.ModTime(), info.Size()
	if f.now, err = f.read(); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	return f, nil
}

// reader gives the registry as it is now; nil without one.
func (f *appsFile) reader() func() *smart.Registry {
	if f == nil {
		return nil
	}
	return f.current
}

func (f *appsFile) read() (*smart.Registry, error) {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("read apps: %w", err)
	}
	return smart.ParseRegistry(text, func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(f.path), name)
		}
		return os.ReadFile(name)
	})
}

func (f *appsFile) current() *smart.Registry {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err == nil && info.ModTime().Equal(f.mark) && info.Size() == f.bytes {
		return f.now
	}
	next, failed := (*smart.Registry)(nil), err
	if err == nil {
		f.mark, f.bytes = info.ModTime(), info.Size()
		next, failed = f.read()
	}
	if failed != nil {
		f.log.Warn("registry of apps not read, the former one stays", "error", failed.Error())
		return f.now
	}
	f.now = next
	f.log.Info("registry of apps read again", "apps", len(next.All()))
	return f.now
}
