package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Where a shell looks when it was told nothing.
const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const mayExecute = 1 // X_OK

// start gives the command this process's directory, environment and streams, and a session of its
// own, so that signals reach all of it and nothing else.
func start(command []string, dropped map[string]bool) (int, error) {
	path, err := find(command[0])
	if err != nil {
		return 0, fmt.Errorf("%q: %w", command[0], err)
	}
	pid, err := syscall.ForkExec(path, command, &syscall.ProcAttr{
		Env:   environment(dropped),
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, fmt.Errorf("%q: %w", command[0], err)
	}
	return pid, nil
}

// environment is this process's own without what is dropped. The kubelet tells every container where
// the cluster's api server is, whatever its pod says.
func environment(dropped map[string]bool) []string {
	var kept []string
	for _, variable := range syscall.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if !dropped[name] {
			kept = append(kept, variable)
		}
	}
	return kept
}

// codeOf is what a shell exits with where a command could not be started.
func codeOf(failure error) int {
	if errors.Is(failure, syscall.ENOENT) || errors.Is(failure, syscall.ENOTDIR) {
		return notFound
	}
	return notExecutable
}

func find(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	problem := error(syscall.ENOENT)
	for _, directory := range strings.Split(searchPath(), ":") {
		if directory == "" {
			directory = "."
		}
		path := directory + "/" + name
		err := check(path)
		if err == nil {
			return path, nil
		}
		if errors.Is(err, syscall.EACCES) {
			problem = err
		}
	}
	return "", problem
}

func searchPath() string {
	if path, isSet := os.LookupEnv("PATH"); isSet {
		return path
	}
	return usualPath
}

// check tells what is there and may not be executed (EACCES) from what is not there.
func check(path string) error {
	var status syscall.Stat_t
	err := syscall.Stat(path, &status)
	if err != nil || status.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return syscall.ENOENT
	}
	return syscall.Access(path, mayExecute)
}
