"""A flat script that never ends by itself."""

import time


def cycle(number):
    print("cycle", number)


number = 0
while True:
    number += 1
    cycle(number)
    time.sleep(0.01)
