//go:build !linux

package local

import "syscall"

// childAttributes keep the terminal's Ctrl-C from a process: it is stopped in
// order. Only Linux ends it when the one that started it is killed.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
