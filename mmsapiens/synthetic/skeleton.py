"""The skeleton of a person: proportions, joint angles, and the frames of the limbs they lead to.

Person frame: that of ``face.py``, extended downwards, with x to the person's left. Limbs are
described on the left; the right ones are left limbs with their own angles, mirrored at x = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .build import ellipsoid, rotation, vec
from .solids import Ellipsoid, Material, Point

DEPTH = 0.25  # z of the trunk's axis
SHOULDER_Y = 1.85


@dataclass(frozen=True)
class Build:
    """Proportions, in units of which a head is 2.3 high.

    Args:
        shoulder: Half the distance of the shoulder joints.
        hip: Half the distance of the hip joints.
        trunk: From the shoulders to the hips.
        upper_arm: From the shoulder to the elbow.
        lower_arm: From the elbow to the wrist.
        hand: Factor on the size of the hands.
        upper_leg: From the hip to the knee.
        lower_leg: From the knee to the ankle.
        girth: Factor on the thickness of everything.
    """

    shoulder: float
    hip: float
    trunk: float
    upper_arm: float
    lower_arm: float
    hand: float
    upper_leg: float
    lower_leg: float
    girth: float


def sample_build(rng: np.random.Generator) -> Build:
    """Draws proportions; a tall person is long in all limbs."""
    tall = rng.uniform(0.88, 1.1)
    each = rng.uniform(0.95, 1.05, 5)
    return Build(
        shoulder=rng.uniform(1.2, 1.5),
        hip=rng.uniform(0.56, 0.68),
        trunk=3.2 * tall * each[0],
        upper_arm=2.05 * tall * each[1],
        lower_arm=1.8 * tall * each[2],
        hand=rng.uniform(1.05, 1.25),
        upper_leg=2.7 * tall * each[3],
        lower_leg=2.6 * tall * each[4],
        girth=rng.uniform(0.88, 1.15),
    )


@dataclass(frozen=True)
class ArmAngles:
    """Angles of an arm in radians; all 0 lets it hang with the palm to the thigh.

    Args:
        abduct: Raises the arm sideways.
        flex: Swings it forwards.
        twist: Turns the bend of the elbow from forwards to inwards.
        elbow: Bends the elbow.
        roll: Turns the palm to the front.
        wrist: Bends the wrist towards the palm.
        curl: Bends each joint of the fingers.
        spread: Spreads the fingers.
    """

    abduct: float
    flex: float
    twist: float
    elbow: float
    roll: float
    wrist: float
    curl: float
    spread: float


@dataclass(frozen=True)
class LegAngles:
    """Angles of a leg in radians; all 0 lets it stand straight.

    Args:
        abduct: Raises the leg sideways.
        flex: Swings it forwards.
        twist: Turns the knee outwards.
        knee: Bends the knee.
        point: Points the toes down, from level with the ground; None keeps the foot level.
    """

    abduct: float
    flex: float
    twist: float
    knee: float
    point: float | None


@dataclass(frozen=True, eq=False)
class Frame:
    """A bone's frame: local y runs along it, local -z is its front.

    Args:
        origin: Position (3,) of the joint it starts from.
        axes: Local axes as columns (3, 3).
    """

    origin: np.ndarray
    axes: np.ndarray

    def at(self, x: float, y: float, z: float) -> np.ndarray:
        """Position (3,) of a local point."""
        return self.origin + self.axes @ vec(x, y, z)

    def ellipsoid(self, part: str, material: Material, centre: Point, radii: Point) -> Ellipsoid:
        """An ellipsoid around a local point, along the bone's axes."""
        return ellipsoid(part, material, self.at(*centre), radii, self.axes)

    def child(self, along: float, turn: np.ndarray) -> Frame:
        """The frame of the next bone, ``along`` this one."""
        return Frame(self.at(0.0, along, 0.0), self.axes @ turn)


@dataclass(frozen=True, eq=False)
class Limbs:
    """The limbs of one side, as left ones."""

    upper_arm: Frame
    lower_arm: Frame
    hand: Frame
    upper_leg: Frame
    lower_leg: Frame
    foot: Frame
    arm: ArmAngles


def place_limbs(build: Build, arm: ArmAngles, leg: LegAngles) -> Limbs:
    """Forward kinematics of one side."""
    shoulder = vec(build.shoulder, SHOULDER_Y, DEPTH)
    raised = rotation(roll=-arm.abduct) @ rotation(pitch=-arm.flex) @ rotation(yaw=arm.twist)
    upper_arm = Frame(shoulder, raised)
    lower_arm = upper_arm.child(build.upper_arm, rotation(pitch=-arm.elbow))
    hand = lower_arm.child(build.lower_arm, rotation(yaw=-arm.roll) @ rotation(roll=arm.wrist))

    hip = vec(build.hip, SHOULDER_Y + build.trunk, DEPTH)
    swung = rotation(roll=-leg.abduct) @ rotation(pitch=-leg.flex) @ rotation(yaw=-leg.twist)
    upper_leg = Frame(hip, swung)
    lower_leg = upper_leg.child(build.upper_leg, rotation(pitch=leg.knee))
    foot = lower_leg.child(build.lower_leg, rotation(pitch=leg.point or 0.0))
    if leg.point is None:
        foot = Frame(foot.origin, rotation(yaw=-leg.twist - 0.2))
    return Limbs(upper_arm, lower_arm, hand, upper_leg, lower_leg, foot, arm)
