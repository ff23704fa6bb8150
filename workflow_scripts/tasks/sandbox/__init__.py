"""A world of its own for a program that nobody has read: what a model wrote.

limits      what a program may use
modes       how its world is made on this machine: bubblewrap, namespaces, or not at all
world       what stands in that world
box         a program in its world: what it is asked, what it answers, how it ended
namespaces  makes the world where bubblewrap is not installed; runs by itself
keeper      starts the program in it under its limits; runs by itself
"""
