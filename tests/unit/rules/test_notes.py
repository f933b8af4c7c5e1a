"""Notes as tellers type them: honest customers are not held up, frauds are not let through."""

from dataclasses import dataclass

import pytest

from shared.events import AccountType, Channel, Level
from tests.unit.rules.builders import facts_with, judged

WAN = 1_000_000
FIRST = "first_transfer_to_payee"


@dataclass(frozen=True)
class Note:
    """What a teller reports: in `wan` of ten thousand yuan, to a person unless `firm`."""

    text: str
    wan: float
    cues: tuple[str, ...] = ()
    firm: bool = False
    age: int | None = 40
    cash: bool = False


def level_and_type(note: Note) -> tuple[Level, str | None]:
    verdict = judged(
        facts_with(
            *note.cues,
            text=note.text,
            amount_fen=int(note.wan * WAN),
            payer_age=note.age,
            payee_account_type=AccountType.CORPORATE if note.firm else AccountType.PERSONAL,
            channel=Channel.COUNTER_CASH if note.cash else Channel.COUNTER_TRANSFER,
        )
    )
    return verdict.level, verdict.scam_type


HONEST = {
    "购房首付": Note("购房首付款，首付交了银行才能放款，合同看了原件，对公监管户", 95, (FIRST,), firm=True),
    "二手房尾款": Note("二手房尾款，先交税再过户，中介和卖家都在场", 30),
    "学费": Note("大学学费，录取通知书带着，缴费群里老师发的账号，和学校官网一致", 1.2, (FIRST,), firm=True),
    "留学": Note("女儿在国外读书，交下学期学费，学校发的缴费单", 18, firm=True),
    "住院": Note(
        "住院押金，老伴刚做完手术，眼圈红的，医院收费处电话核实过", 6, ("hurried_anxious",), firm=True, age=67
    ),
    "皮肤科": Note("皮肤科住院费，给老人买药", 0.8, firm=True),
    "工资": Note("发放工资，出纳一个人来的，老板让今天一定发下去，工资表盖了章", 0.9, age=None),
    "补发奖金": Note("补发奖金，公司财务，领导签过字，三个人分三笔转", 3, age=None),
    "给子女生活费": Note("生活费，给儿子打钱，在北京工作刚租房，押一付三", 1.5, age=55),
    "给子女买房": Note("给女儿凑首付，理财到期取出来转给女儿，说是下周签合同", 4.9, age=58),
    "装修款": Note("装修款，工头是小区里做了好几家的，尾款三万，验收单带着", 3),
    "还朋友钱": Note("还朋友钱，去年做生意微信上跟朋友借的，借条拿回来了", 4),
    "还同学钱": Note("还款，老同学前年转给他买车的钱，两人一起来的", 8),
    "税款": Note("税款，公司季度所得税，电子税务局打的缴款书", 21, firm=True, age=None),
    "契税": Note("契税和维修基金，先交税才能拿房本", 4, firm=True),
    "法院诉讼费": Note("诉讼费，法院通知七天内交，缴费通知书带着，户名是区人民法院", 1.3, (FIRST,), firm=True),
    "法院案款": Note("交案款，法院判决要还的，法官给的案款账户", 12, (FIRST,), firm=True),
    "征信查询": Note("来打征信报告，有一张没注销的信用卡，征信上有逾期，把信用卡欠款还清", 0.6, firm=True),
    "征信正常": Note("办房贷前查征信，征信没问题，顺便还清消费贷", 5, firm=True),
    "提前还贷": Note("提前还房贷，攒够了，满一年才能提前还", 40, firm=True),
    "提车": Note("车款，付了尾款才能提车，4S店对公户", 16, (FIRST,), firm=True),
    "投标保证金": Note("投标保证金，招标公告和账户看过，年年都投", 20, (FIRST,), firm=True, age=None),
    "货款": Note("货款，老板微信发来付款单，合作三年的供应商，对公户", 35, firm=True, age=None),
    "补缴社保": Note("补缴社保，社保局让月底前补上，缴费单带着", 2.2, firm=True),
    "买基金": Note("买基金，手机银行app里的理财，柜台签风险书", 10, firm=True),
    "游戏机": Note("货款，给儿子买游戏机，商场柜台", 0.4, firm=True),
    "红包": Note("给外孙压岁钱，阿姨自己来的，一边等一边跟女儿打电话", 1, age=70),
    "取现办酒": Note("取现，儿子结婚办酒席，预约过的", 8, age=56, cash=True),
    "大额取现": Note("取现，村里老人办丧事，村干部陪着来", 12, age=62, cash=True),
    "公转个人报销": Note("差旅报销，单据齐，每月都有", 0.5, age=None),
}

ALERTS: dict[str, tuple[str | None, Note]] = {
    "冒充公检法": (
        "impersonated_authority",
        Note("还款，小伙子说通管局打电话讲他名下有卡涉案，公安叫他把钱转去核查", 6, ("on_phone_throughout",)),
    ),
    "对公的安全账户": (
        "impersonated_authority",
        Note("货款，说是转到检察院的安全账户，户名是个商贸公司", 20, firm=True),
    ),
    "刷单被催": (
        "brushing_rebates",
        Note("朋友借款，翻她手机看到群里抢单，垫付才有佣金，群里一直催", 2, ("hurried_anxious",)),
    ),
    "投资": (
        "fake_investment",
        Note("投资款，跟导师做虚拟币，平台里看赚了两倍，拿出来要先等排队", 8, (FIRST,)),
    ),
    "内部股票": (
        "fake_investment",
        Note("理财，叔叔讲群里有内部消息，股票稳赚，收款的是个人", 15, (FIRST,), age=66),
    ),
    "网贷": (
        "fake_loan",
        Note("往来款，网上办贷款，对方说卡号填错要交保证金才放款", 1, ("reads_from_screen",)),
    ),
    "征信": (
        "fake_credit_record",
        Note("还贷，说学生贷没注销会影响征信，要把额度清零", 3, ("on_phone_throughout",)),
    ),
    "百万保障": (
        "fake_customer_service",
        Note("转账，微信客服说他开了百万保障，不取消每月扣两千", 1.6, ("reads_from_screen",)),
    ),
    "快递理赔": (
        "fake_customer_service",
        Note("转账，快递丢了，客服要给她理赔，叫她下载会议软件", 0.7),
    ),
    "假老板": (
        "impersonated_acquaintance",
        Note("合同款，会计说老板在钉钉群里叫付的，打老板电话不接，以前没付过", 28, (FIRST, "hurried_anxious")),
    ),
    "游戏": (
        "game_trading",
        Note("充值，卖游戏账号，买家给的网站要先交解冻费才能提现", 0.3),
    ),
    "假反诈中心": (
        "impersonated_authority",
        Note("转账，自称反诈中心的让他把钱转去核查账户，不转就冻结", 7, (FIRST,)),
    ),
    "拒办后取现": (
        None,
        Note(
            "取现，上午在别的行没办成，说不清给谁", 12, ("cash_after_refusal", "refused_at_another_branch"), cash=True
        ),
    ),
    "被人带来": (
        None,
        Note("装修款，老人不说话，旁边的人替他答，什么都说不清", 9, ("accompanied_by_stranger", FIRST), age=74),
    ),
}

CAUTIONS: dict[str, tuple[str | None, Note]] = {
    "冒充社保局": (
        "impersonated_authority",
        Note("往来款，大叔说社保局查到他的卡盗用要停，转接的警官让配合调查", 2),
    ),
    "点赞": (
        "brushing_rebates",
        Note("充值，网上兼职给商家点赞，返过几十，现在要先充钱做大单", 2),
    ),
    "私下买票": (
        "fake_shopping",
        Note("买演唱会票，朋友圈看到的，对方要私下转账，视频他不接", 0.4),
    ),
    "中奖": (
        None,
        Note("手续费，阿姨说她中了奖，要先交手续费", 0.5),
    ),
    "敲诈": (
        None,
        Note("转账，小伙子低着头，问了才说裸聊被录了像，对方要钱", 1),
    ),
    "刷单": (
        "brushing_rebates",
        Note("转账，手机里有人派单，她先垫了两单返了一百多，这单要八千", 0.8, (FIRST,)),
    ),
    "对公的投资": (
        "fake_investment",
        Note("货款，问了是跟老师炒外汇，公司户收款", 30, (FIRST,), firm=True),
    ),
    "假同学": (
        "impersonated_acquaintance",
        Note("借款，老同学在qq上找她借钱，说孩子住院急用，视频他不接", 2),
    ),
    "网恋": (
        "romance",
        Note("代缴税费，网上认识的对象在国外当兵，没见过面", 3, ("must_not_tell",)),
    ),
    "二手手机": (
        "fake_shopping",
        Note("买手机，网店客服叫加微信，便宜一半，要先付款", 0.5, ("remote_payee",)),
    ),
}


@pytest.mark.parametrize("note", HONEST.values(), ids=HONEST.keys())
def test_an_honest_customer_is_not_held_up(note: Note) -> None:
    assert level_and_type(note) == (Level.CLEAR, None)


@pytest.mark.parametrize(("scam_type", "note"), ALERTS.values(), ids=ALERTS.keys())
def test_a_fraud_makes_an_alert_that_names_it(scam_type: str | None, note: Note) -> None:
    assert level_and_type(note) == (Level.ALERT, scam_type)


@pytest.mark.parametrize(("scam_type", "note"), CAUTIONS.values(), ids=CAUTIONS.keys())
def test_a_fraud_of_which_little_shows_asks_for_caution_and_names_it(scam_type: str | None, note: Note) -> None:
    assert level_and_type(note) == (Level.CAUTION, scam_type)
