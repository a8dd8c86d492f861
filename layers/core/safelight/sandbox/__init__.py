"""A process that handles hostile bytes and may ask the kernel for next to nothing (docs/decisions/0012).

    calls     numbers of system calls on both machines
    bpf       rules about system calls as a program for the kernel
    profiles  which calls a kind of work needs
    system    system calls that Python has no function for
    seal      what a process gives up before it looks at hostile bytes, in the order that works
    threads   whether a process can still start any
    child     one piece of work in a sealed process
    proof     what a throwaway child finds out about its own seal
    warm      the process that proves the seal once and then forks children
    nursery   what the product calls: starts a warm process, asks it for children
    wire      how they talk, and the limits of an answer
    probe     what this machine allows, for operators

This package knows no file format, no library that opens files and no setting.
"""
