package local

import "syscall"

// childAttributes let a process end with the one that started it, even if
// that was killed, and keep the terminal's Ctrl-C from it: it is stopped in
// order.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
