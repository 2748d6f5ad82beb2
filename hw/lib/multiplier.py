"""The multiplier of the compact core: a DSP block of the part."""

from amaranth.hdl import ClockSignal, Const, Instance, Module, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Multiplier(wiring.Component):
    """``product[t+1] = a[t] * b[t]``, exact.

    On an iCE40 UltraPlus it instantiates an SB_MAC16, because Yosys would split a product of a signed and an
    unsigned factor.

    Members
    -------
    a : In(signed(16)), b : In(unsigned(16)), product : Out(signed(32))
    """

    latency = 1

    def __init__(self):
        super().__init__({"a": In(signed(16)), "b": In(unsigned(16)), "product": Out(signed(32))})

    def elaborate(self, platform):
        m = Module()
        if not getattr(platform, "device", "").startswith("iCE40UP"):
            m.d.sync += self.product.eq(self.a * self.b)
            return m
        zero, one = Const(0), Const(1)
        m.submodules.mac = Instance(
            "SB_MAC16",
            p_NEG_TRIGGER=Const(0, 1),
            p_C_REG=Const(0, 1),
            p_A_REG=Const(0, 1),
            p_B_REG=Const(0, 1),
            p_D_REG=Const(0, 1),
            p_TOP_8x8_MULT_REG=Const(0, 1),
            p_BOT_8x8_MULT_REG=Const(0, 1),
            p_PIPELINE_16x16_MULT_REG1=Const(0, 1),
            # the only register is the one after the 16x16 product
            p_PIPELINE_16x16_MULT_REG2=Const(1, 1),
            p_TOPOUTPUT_SELECT=Const(3, 2),
            p_TOPADDSUB_LOWERINPUT=Const(0, 2),
            p_TOPADDSUB_UPPERINPUT=Const(0, 1),
            p_TOPADDSUB_CARRYSELECT=Const(0, 2),
            p_BOTOUTPUT_SELECT=Const(3, 2),
            p_BOTADDSUB_LOWERINPUT=Const(0, 2),
            p_BOTADDSUB_UPPERINPUT=Const(0, 1),
            p_BOTADDSUB_CARRYSELECT=Const(0, 2),
            p_MODE_8x8=Const(0, 1),
            p_A_SIGNED=Const(1, 1),
            p_B_SIGNED=Const(0, 1),
            i_CLK=ClockSignal("sync"),
            i_CE=one,
            i_A=self.a,
            i_B=self.b,
            i_C=Const(0, 16),
            i_D=Const(0, 16),
            **{
                f"i_{name}": zero
                for name in ("AHOLD", "BHOLD", "CHOLD", "DHOLD", "IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT")
            },
            **{
                f"i_{name}": zero
                for name in ("OLOADTOP", "OLOADBOT", "ADDSUBTOP", "ADDSUBBOT", "OHOLDTOP", "OHOLDBOT")
            },
            **{f"i_{name}": zero for name in ("CI", "ACCUMCI", "SIGNEXTIN")},
            o_O=self.product,
        )
        return m
