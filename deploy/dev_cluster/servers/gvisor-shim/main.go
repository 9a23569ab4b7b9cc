// The program with which containerd leads gVisor's sandboxes: gVisor's own, but for its start.
//
// That one gives itself an OOM score for which root needs CAP_SYS_RESOURCE, which containers and
// many virtual machines lack, and says where it listens as containerd reads it from 1.7 on. This one
// leaves its score alone, and says it as containerd 1.6 reads it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/shim"
	runsc "gvisor.dev/gvisor/pkg/shim/v1"
	_ "gvisor.dev/gvisor/pkg/shim/v1/plugin" // what it serves
)

const (
	name        = "io.containerd.runsc.v1"
	addressFile = "address"  // in the container's bundle, where containerd looks after its own restart
	pidFile     = "shim.pid" // as above
)

type manager struct{ shim.Manager }

func main() {
	shim.Run(context.Background(), manager{runsc.NewShimManager(name)})
}

// Start leaves a process that serves one container, and ends this one with its address as the answer.
func (manager) Start(
	ctx context.Context, id string, options shim.StartOpts,
) (shim.BootstrapParams, error) {
	address, err := shim.SocketAddress(ctx, options.Address, id, options.Debug)
	if err != nil {
		return shim.BootstrapParams{}, err
	}
	if err := serve(ctx, id, options, address); err != nil {
		return shim.BootstrapParams{}, err
	}
	fmt.Print(address)
	os.Exit(0) // or a JSON object would follow
	panic("unreachable")
}

func serve(ctx context.Context, id string, options shim.StartOpts, address string) error {
	socket, err := shim.NewSocket(address)
	if err != nil {
		return fmt.Errorf("listening for containerd: %w", err)
	}
	server, err := newServer(ctx, id, options)
	if err != nil {
		return err
	}
	listener, err := socket.File()
	if err != nil {
		return err
	}
	server.ExtraFiles = []*os.File{listener}
	if err := os.WriteFile(addressFile, []byte(address), 0o644); err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return fmt.Errorf("starting the shim: %w", err)
	}
	return shim.WritePidFile(pidFile, server.Process.Pid)
}

func newServer(ctx context.Context, id string, options shim.StartOpts) (*exec.Cmd, error) {
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	server := exec.Command(self, "-namespace", namespace, "-address", options.Address, "-id", id)
	if options.Debug {
		server.Args = append(server.Args, "-debug")
	}
	server.Env = append(os.Environ(), "GOMAXPROCS=2")
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return server, nil
}
